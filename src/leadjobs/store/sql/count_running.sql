-- How many jobs run under each limit.  Only true under its lock (lock_limits.sql), and only as a statement of its own: one
-- that waited for the lock would count what it saw before.  Index: background_job_running.
SELECT held.name, running.jobs
  FROM job_limit AS held
 CROSS JOIN LATERAL (
       SELECT count(*) AS jobs FROM background_job
        WHERE state = 'RUNNING' AND type = ANY (held.types) AND (held.tenant IS NULL OR tenant = held.tenant)) AS running
 WHERE held.name = ANY (CAST(:names AS text[]))
