-- What became of an effect of a job, for its owner: no row where the lease holds no more.  The primary keys serve it.
SELECT effect.state, effect.receipt, effect.lease_no
  FROM background_job AS job
  JOIN job_effect AS effect
    ON effect.job_id = job.id AND effect.generation = CAST(:generation AS integer) AND effect.name = CAST(:name AS text)
 WHERE job.id = CAST(:id AS bigint) AND job.lease_no = CAST(:lease_no AS integer)
