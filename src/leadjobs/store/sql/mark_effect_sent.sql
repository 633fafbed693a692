-- A person says that an effect was made.  Its job, if it failed or waits, is due now in the same generation, with all it has
-- kept.  A row comes back only if the job does not run, and the effect was intended: one that is accepted keeps its receipt.
-- Without a generation, the job's own is meant.  By the primary keys.
-- moves: PENDING, FAILED -> PENDING: a person says that its unknown effect was made
WITH job AS MATERIALIZED (
    SELECT id, generation, state FROM background_job
     WHERE id = CAST(:id AS bigint) AND state <> 'RUNNING'
       FOR NO KEY UPDATE
), marked AS (
    UPDATE job_effect AS effect
       SET state = 'accepted',
           receipt = CASE effect.state WHEN 'accepted' THEN effect.receipt ELSE CAST(:receipt AS jsonb) END,
           told_by = CASE effect.state WHEN 'accepted' THEN effect.told_by ELSE CAST(:by AS text) END,
           answered_at = coalesce(effect.answered_at, now())
      FROM job
     WHERE effect.job_id = job.id AND effect.name = CAST(:name AS text)
       AND effect.generation = coalesce(CAST(:generation AS integer), job.generation)
       AND effect.state IN ('intended', 'accepted')
    RETURNING effect.generation, effect.receipt
), due AS (
    UPDATE background_job
       SET state = 'PENDING', lease_no = lease_no + 1, run_at = coalesce(CAST(:now AS timestamptz), now()), finished_at = NULL,
           lane = CASE background_job.lane WHEN 'retry' THEN 'live' ELSE background_job.lane END,
           reason = concat(CAST(:name AS text), ' was sent, says ', CAST(:by AS text))
      FROM job JOIN marked USING (generation)
     WHERE background_job.id = CAST(:id AS bigint) AND job.state IN ('FAILED', 'PENDING')
    RETURNING background_job.id
)
SELECT generation, receipt, EXISTS (SELECT FROM due) AS is_due FROM marked
