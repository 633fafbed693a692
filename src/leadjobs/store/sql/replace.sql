-- Add jobs; where a dedupe key is held, a waiting holder takes the new payload and time, and a running one is to run once
-- more with the new payload.  A finished holder stays as it is and is not returned (look it up with find_holders.sql).
-- Adds nothing where the isolation level would hide a racing holder.
-- moves: nothing -> PENDING: it is enqueued
-- moves: PENDING -> PENDING: an enqueue replaces its payload and time
-- moves: RUNNING -> RUNNING: an enqueue gives it a next payload, to run once more with
INSERT INTO background_job AS held (lane, type, tenant, payload, dedupe_key, scope, run_at)
SELECT lane, type, tenant, payload, dedupe_key, scope,
       coalesce(run_at, now() + make_interval(secs => coalesce(delay, 0)))
  FROM ROWS FROM (jsonb_to_recordset(CAST(:jobs AS jsonb))
                  AS (lane text, type text, tenant text, payload jsonb, dedupe_key text, scope text,
                      run_at timestamptz, delay double precision))
       WITH ORDINALITY AS job (lane, type, tenant, payload, dedupe_key, scope, run_at, delay, ordinal)
 WHERE current_setting('transaction_isolation') LIKE 'read %'
 ORDER BY ordinal
    ON CONFLICT (type, tenant, hold) WHERE hold IS NOT NULL DO UPDATE
   SET lane         = CASE WHEN held.state = 'PENDING' AND held.lane = 'retry' THEN 'live' ELSE held.lane END,
       payload      = CASE held.state WHEN 'PENDING' THEN excluded.payload ELSE held.payload END,
       run_at       = CASE held.state WHEN 'PENDING' THEN excluded.run_at ELSE held.run_at END,
       generation   = CASE held.state WHEN 'PENDING' THEN held.generation + 1 ELSE held.generation END,
       attempts     = CASE held.state WHEN 'PENDING' THEN 0 ELSE held.attempts END,
       losses       = CASE held.state WHEN 'PENDING' THEN 0 ELSE held.losses END,
       reason       = CASE held.state WHEN 'PENDING' THEN 'replaced' ELSE held.reason END,
       next_payload = CASE held.state WHEN 'RUNNING' THEN excluded.payload END
 WHERE held.state IN ('PENDING', 'RUNNING')
RETURNING id, type, tenant, dedupe_key,
          CASE WHEN xmax = 0 THEN 'inserted' WHEN state = 'RUNNING' THEN 'merged' ELSE 'replaced' END AS verdict
