-- Make jobs due now with all their attempts, those that are still as they were seen; a new generation, as retry.sql begins it.
-- What somebody has locked is stepped over, and so is a job with an effect that nobody knows the end of.  It carries no
-- lease, for it touches no RUNNING job.  The primary key serves it.
-- moves: PENDING, SUCCEEDED, FAILED, CANCELLED -> PENDING: a person retries all that a filter finds
WITH free AS MATERIALIZED (
    SELECT id, lease_no, generation FROM background_job
     WHERE id = ANY (CAST(:ids AS bigint[])) AND state <> 'RUNNING'
       AND NOT EXISTS (SELECT FROM job_effect AS effect
                        WHERE effect.job_id = background_job.id AND effect.generation = background_job.generation
                          AND effect.state = 'intended')
     ORDER BY id
       FOR NO KEY UPDATE SKIP LOCKED
), same AS MATERIALIZED (
    SELECT id FROM free
      JOIN unnest(CAST(:ids AS bigint[]), CAST(:lease_nos AS integer[]), CAST(:generations AS integer[]))
           AS seen (id, lease_no, generation) USING (id, lease_no, generation)
)
UPDATE background_job
   SET state = 'PENDING', lane = CASE lane WHEN 'retry' THEN 'live' ELSE lane END, reason = CAST(:reason AS text),
       run_at = coalesce(CAST(:now AS timestamptz), now()), generation = generation + 1, attempts = 0, losses = 0,
       finished_at = NULL
 WHERE id = ANY (ARRAY(SELECT id FROM same))
RETURNING id
