-- All schedules that were ever declared here, with the job of each one's last tick as far as it is kept.  The table holds a
-- row for each schedule; its jobs are found by their primary key.
SELECT schedule.name, cron, tz, schedule.type, schedule.tenant, since, last_tick, last_job_id, job.state AS last_job_state,
       job.reason AS last_job_reason, paused_at, paused_by, noted_at, coalesce(CAST(:now AS timestamptz), now()) AS now
  FROM job_schedule AS schedule
  LEFT JOIN background_job AS job ON job.id = schedule.last_job_id
 ORDER BY schedule.name
