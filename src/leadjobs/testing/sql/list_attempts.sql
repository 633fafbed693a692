-- What went wrong in the runs of these jobs, newest first.  Uses ix_job_attempt_job_id.
SELECT job_id, generation, lease_no, ended_as, error_type, error, trace, started_at, ended_at
  FROM job_attempt
 WHERE job_id = ANY (CAST(:ids AS bigint[]))
 ORDER BY id DESC
