-- Take back leases that have ended.  A job lost for the first time waits in the lane 'alone', where it will run with no
-- neighbours; only a loss there counts, and the last one allowed ends it.  Index: background_job_running.
WITH expired AS MATERIALIZED (
    SELECT id, lane, lease_no, generation, started_at,
           lane = 'alone' AND losses + 1 >= CAST(:max_losses AS integer) AS is_last
      FROM background_job
     WHERE state = 'RUNNING' AND lease_until < coalesce(CAST(:now AS timestamptz), now())
     ORDER BY lease_until
     LIMIT CAST(:max_jobs AS integer)
       FOR NO KEY UPDATE SKIP LOCKED
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
     WHERE job.id = expired.id
    RETURNING job.id, job.type, job.state
), noted AS (
    INSERT INTO job_attempt (job_id, generation, lease_no, ended_as, started_at, ended_at)
    SELECT id, generation, lease_no, 'lost', started_at, coalesce(CAST(:now AS timestamptz), now()) FROM expired
)
SELECT id, type, state FROM rescued
