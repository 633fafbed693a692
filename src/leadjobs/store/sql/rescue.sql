-- Take back leases that have ended.  A job lost for the first time waits in the lane 'alone', where it will run with no
-- neighbours; only a loss there counts, and the last one allowed ends it.  A loose scan of background_job_running: one
-- probe per type.
-- moves: RUNNING -> PENDING: its lease has ended, for its process died or went silent
-- moves: RUNNING -> FAILED: its process died or went silent in each of its runs alone
WITH RECURSIVE kind AS (
    (SELECT type FROM background_job WHERE state = 'RUNNING' ORDER BY type LIMIT 1)
    UNION ALL
    SELECT next.type
      FROM kind CROSS JOIN LATERAL (
           SELECT type FROM background_job WHERE state = 'RUNNING' AND type > kind.type ORDER BY type LIMIT 1) AS next
), expired AS MATERIALIZED (
    SELECT ended.* FROM kind CROSS JOIN LATERAL (
           SELECT id, lane, lease_no, generation, started_at,
                  lane = 'alone' AND losses + 1 >= CAST(:max_losses AS integer) AS is_last
             FROM background_job
            WHERE state = 'RUNNING' AND type = kind.type COLLATE "C"
              AND lease_until < coalesce(CAST(:now AS timestamptz), now())
            ORDER BY lease_until
            LIMIT CAST(:max_jobs AS integer)
              FOR NO KEY UPDATE SKIP LOCKED) AS ended
), rescued AS (
    UPDATE background_job AS job
       SET state = CASE WHEN is_last AND next_payload IS NULL THEN 'FAILED' ELSE 'PENDING' END,
           reason = CASE WHEN is_last THEN 'lost: its process died, or went silent past its lease, in every run alone'
                         ELSE 'lost: its process died or went silent past its lease; runs alone next' END,
           losses = CASE WHEN next_payload IS NOT NULL THEN 0 ELSE losses + CASE expired.lane WHEN 'alone' THEN 1 ELSE 0 END END,
           lane = 'alone',
           payload = coalesce(next_payload, payload),
           attempts = CASE WHEN next_payload IS NULL THEN attempts ELSE 0 END,
           generation = job.generation + CASE WHEN next_payload IS NULL THEN 0 ELSE 1 END,
           next_payload = NULL,
           run_at = coalesce(CAST(:now AS timestamptz), now()),
           lease_no = job.lease_no + 1,
           lease_until = NULL,
           finished_at = CASE WHEN is_last AND next_payload IS NULL THEN coalesce(CAST(:now AS timestamptz), now()) END
      FROM expired
     WHERE job.id = ANY (ARRAY(SELECT id FROM expired)) AND job.id = expired.id
    RETURNING job.id, job.type, job.state
), noted AS (
    INSERT INTO job_attempt (job_id, generation, lease_no, ended_as, started_at, ended_at)
    SELECT id, generation, lease_no, 'lost', started_at, coalesce(CAST(:now AS timestamptz), now()) FROM expired
)
SELECT id, type, state FROM rescued
