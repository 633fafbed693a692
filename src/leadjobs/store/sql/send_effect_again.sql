-- A person says that an effect was not made, or is to be made once more.  Its job, if it failed or waits, is due now in the
-- same generation, with all it has kept, and makes it under the same tag.  A row comes back only if the job does not run, and
-- the effect is not accepted.  Without a generation, the job's own is meant.  By the primary keys.
-- moves: PENDING, FAILED -> PENDING: a person says that its unknown effect was not made, or is to be made again
WITH job AS MATERIALIZED (
    SELECT id, generation, state FROM background_job
     WHERE id = CAST(:id AS bigint) AND state <> 'RUNNING'
       FOR NO KEY UPDATE
), withdrawn AS (
    UPDATE job_effect AS effect
       SET state = 'refused', told_by = CAST(:by AS text), answered_at = now()
      FROM job
     WHERE effect.job_id = job.id AND effect.name = CAST(:name AS text)
       AND effect.generation = coalesce(CAST(:generation AS integer), job.generation)
       AND effect.state <> 'accepted'
    RETURNING effect.generation
), due AS (
    UPDATE background_job
       SET state = 'PENDING', lease_no = lease_no + 1, run_at = coalesce(CAST(:now AS timestamptz), now()), finished_at = NULL,
           lane = CASE background_job.lane WHEN 'retry' THEN 'live' ELSE background_job.lane END,
           reason = concat(CAST(:name AS text), ' is sent again, says ', CAST(:by AS text))
      FROM job JOIN withdrawn USING (generation)
     WHERE background_job.id = CAST(:id AS bigint) AND job.state IN ('FAILED', 'PENDING')
    RETURNING background_job.id
)
SELECT generation, EXISTS (SELECT FROM due) AS is_due FROM withdrawn
