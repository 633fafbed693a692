-- Add jobs; a job whose dedupe key is held is left out (look it up with find_holders.sql), and so is one with a key where
-- the isolation level would hide a racing holder.
-- Returned in no order: callers match rows by (type, tenant, dedupe_key), and keyless ones by growing id.
-- moves: nothing -> PENDING: it is enqueued
INSERT INTO background_job (lane, type, tenant, payload, dedupe_key, scope, run_at)
SELECT lane, type, tenant, payload, dedupe_key, scope,
       coalesce(run_at, now() + make_interval(secs => coalesce(delay, 0)))
  FROM ROWS FROM (jsonb_to_recordset(CAST(:jobs AS jsonb))
                  AS (lane text, type text, tenant text, payload jsonb, dedupe_key text, scope text,
                      run_at timestamptz, delay double precision))
       WITH ORDINALITY AS job (lane, type, tenant, payload, dedupe_key, scope, run_at, delay, ordinal)
 WHERE dedupe_key IS NULL OR current_setting('transaction_isolation') LIKE 'read %'
 ORDER BY ordinal
    ON CONFLICT (type, tenant, hold) WHERE hold IS NOT NULL DO NOTHING
RETURNING id, type, tenant, dedupe_key, 'inserted' AS verdict
