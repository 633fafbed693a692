-- What went wrong in the runs of a job, newest first.
SELECT generation, lease_no, ended_as, error_type, error, trace, started_at, ended_at
  FROM job_attempt WHERE job_id = CAST(:id AS bigint) ORDER BY id DESC LIMIT 100
