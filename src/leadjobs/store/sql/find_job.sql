-- One job, whole.
SELECT id, lane, type, tenant, state, reason, payload, dedupe_key, scope, generation, attempts, losses,
       run_at, lease_no, lease_until, created_at, started_at, finished_at
  FROM background_job WHERE id = CAST(:id AS bigint)
