-- Make a job that has ended, or that waits, due now, with all its attempts.
UPDATE background_job
   SET state = 'PENDING', lane = CASE lane WHEN 'retry' THEN 'live' ELSE lane END, reason = CAST(:reason AS text), run_at = coalesce(CAST(:now AS timestamptz), now()),
       generation = generation + 1, attempts = 0, losses = 0, finished_at = NULL
 WHERE id = CAST(:id AS bigint) AND state <> 'RUNNING'
RETURNING id
