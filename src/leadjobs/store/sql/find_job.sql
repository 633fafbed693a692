-- One job, whole.
SELECT id, lane, type, tenant, state, reason, payload, dedupe_key, scope, job.generation, attempts, losses,
       run_at, job.lease_no, lease_until, created_at, started_at, finished_at, progress, progress_at, result
  FROM background_job AS job
  LEFT JOIN job_result AS kept ON kept.job_id = job.id AND kept.generation = job.generation
 WHERE id = CAST(:id AS bigint)
