-- Make a job that has ended, or that waits, due now, with all its attempts, in a new generation.  Not one with an effect that
-- nobody knows the end of: the new generation would make it again.
-- moves: PENDING, SUCCEEDED, FAILED, CANCELLED -> PENDING: a person retries it
UPDATE background_job AS job
   SET state = 'PENDING', lane = CASE lane WHEN 'retry' THEN 'live' ELSE lane END, reason = CAST(:reason AS text),
       run_at = coalesce(CAST(:now AS timestamptz), now()), generation = generation + 1, attempts = 0, losses = 0,
       finished_at = NULL
 WHERE id = CAST(:id AS bigint) AND state <> 'RUNNING'
   AND NOT EXISTS (SELECT FROM job_effect AS effect
                    WHERE effect.job_id = job.id AND effect.generation = job.generation AND effect.state = 'intended')
RETURNING id
