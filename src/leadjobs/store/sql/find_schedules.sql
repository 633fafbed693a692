-- What is known of these schedules, a row for each name, and what time it is.  The primary key serves it.
SELECT wanted.name, cron, tz, type, tenant, greatest(since, last_tick) AS counted_from, paused_at, noted_at,
       coalesce(CAST(:now AS timestamptz), now()) AS now
  FROM unnest(CAST(:names AS text[])) AS wanted (name)
  LEFT JOIN job_schedule AS known ON known.name = wanted.name
