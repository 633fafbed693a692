-- Make jobs due now with all their attempts, those that are still as they were seen; a new generation, as retry.sql begins it.
-- What somebody has locked is stepped over.  Not one with an effect that nobody knows the end of: its row says so.  It carries
-- no lease, for it touches no RUNNING job.  By primary keys, and job_effect_unanswered.
-- moves: PENDING, SUCCEEDED, FAILED, CANCELLED -> PENDING: a person retries all that a filter finds
WITH free AS MATERIALIZED (
    SELECT id, lease_no, generation FROM background_job
     WHERE id = ANY (CAST(:ids AS bigint[])) AND state <> 'RUNNING'
     ORDER BY id
       FOR NO KEY UPDATE SKIP LOCKED
), same AS MATERIALIZED (
    SELECT id, EXISTS (SELECT FROM job_effect AS effect
                        WHERE effect.job_id = free.id AND effect.generation = free.generation
                          AND effect.state = 'intended') AS is_unknown
      FROM free
      JOIN unnest(CAST(:ids AS bigint[]), CAST(:lease_nos AS integer[]), CAST(:generations AS integer[]))
           AS seen (id, lease_no, generation) USING (id, lease_no, generation)
), due AS (
    UPDATE background_job
       SET state = 'PENDING', lane = CASE lane WHEN 'retry' THEN 'live' ELSE lane END, reason = CAST(:reason AS text),
           run_at = coalesce(CAST(:now AS timestamptz), now()), generation = generation + 1, attempts = 0, losses = 0,
           finished_at = NULL
     WHERE id = ANY (ARRAY(SELECT id FROM same WHERE NOT is_unknown))
)
SELECT id, is_unknown FROM same
