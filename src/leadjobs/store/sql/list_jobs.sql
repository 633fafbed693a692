-- The newest jobs, by filters that may be null, with how far they are that run.  Walks the primary key backwards, or
-- background_job_failed.
SELECT id, lane, type, tenant, state, reason, attempts, job.generation, run_at, lease_until, created_at, started_at,
       finished_at, progress, progress_at
  FROM background_job AS job
  LEFT JOIN job_result AS kept ON state = 'RUNNING' AND kept.job_id = job.id AND kept.lease_no = job.lease_no
 WHERE (CAST(:state AS text) IS NULL OR state = CAST(:state AS text))
   AND (CAST(:type AS text) IS NULL OR type = CAST(:type AS text))
   AND (CAST(:tenant AS text) IS NULL OR tenant = CAST(:tenant AS text))
 ORDER BY id DESC
 LIMIT CAST(:max_jobs AS integer)
