-- Attach the answer to an intent, for the run that wrote it, whether or not it still owns the job: the call was made.  What
-- is accepted stays so, and an intent that somebody else has written since is not ours to answer.  is_owner says whether the
-- job is still this run's.  By the primary key.
UPDATE job_effect AS effect
   SET state = CAST(:state AS text), receipt = CAST(:receipt AS jsonb), told_by = 'send', answered_at = now()
 WHERE job_id = CAST(:id AS bigint) AND generation = CAST(:generation AS integer) AND name = CAST(:name AS text)
   AND lease_no = CAST(:lease_no AS integer) AND state <> 'accepted'
RETURNING EXISTS (SELECT FROM background_job AS job
                   WHERE job.id = effect.job_id AND job.lease_no = effect.lease_no) AS is_owner
