-- Where a job stands, how far it is, and its result; what an earlier generation left is not shown.  By the primary keys.
SELECT job.id, job.type, job.tenant, job.state, job.reason, job.generation, job.run_at, job.finished_at,
       CAST(kept.progress AS text) AS progress, kept.progress_at, CAST(kept.result AS text) AS result
  FROM background_job AS job
  LEFT JOIN job_result AS kept ON kept.job_id = job.id AND kept.generation = job.generation
 WHERE job.id = CAST(:id AS bigint)
