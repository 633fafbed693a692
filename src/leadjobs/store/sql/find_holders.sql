-- The jobs that hold these dedupe keys; none where the isolation level would show holders that are none any more.
-- Index: background_job_hold.
SELECT held.id, held.type, held.tenant, held.dedupe_key, 'ignored' AS verdict
  FROM jsonb_to_recordset(CAST(:jobs AS jsonb)) AS job (type text, tenant text, dedupe_key text)
  JOIN background_job AS held
    ON held.type = job.type AND held.tenant = job.tenant AND held.hold = job.dedupe_key
 WHERE current_setting('transaction_isolation') LIKE 'read %'
