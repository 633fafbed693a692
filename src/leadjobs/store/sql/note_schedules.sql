-- Keep what a runner declares: new schedules, changed ones, and that it still has the others.  Ticks of a new expression or
-- zone count from now on, which is when the runner looked.  What somebody has locked is stepped over, until the next look.
-- The primary key serves it.
WITH free AS MATERIALIZED (
    SELECT name FROM job_schedule WHERE name = ANY (CAST(:names AS text[]))
     ORDER BY name
       FOR NO KEY UPDATE SKIP LOCKED
)
INSERT INTO job_schedule AS known (name, cron, tz, type, tenant, since, noted_at)
SELECT name, cron, tz, type, tenant, CAST(:now AS timestamptz), CAST(:now AS timestamptz)
  FROM unnest(CAST(:names AS text[]), CAST(:crons AS text[]), CAST(:zones AS text[]), CAST(:types AS text[]),
              CAST(:tenants AS text[])) AS declared (name, cron, tz, type, tenant)
 WHERE name IN (SELECT name FROM free)
    OR NOT EXISTS (SELECT 1 FROM job_schedule AS there WHERE there.name = declared.name)
 ORDER BY name
    ON CONFLICT (name) DO UPDATE
   SET cron = excluded.cron, tz = excluded.tz, type = excluded.type, tenant = excluded.tenant,
       since = CASE WHEN (known.cron, known.tz) IS DISTINCT FROM (excluded.cron, excluded.tz) THEN excluded.since
                    ELSE known.since END,
       noted_at = excluded.noted_at
