-- Take a lease on the first due jobs of each stream, as many as its share, beginning after its last claimed key.
-- One ordered probe of background_job_pending per stream; rows that somebody else is taking are stepped over.  Nothing of a
-- stream that goes by a name which is held.  A lease begins with this statement, not with its transaction, which may have
-- waited for the lock of a limit.
-- moves: PENDING -> RUNNING: a runner takes a lease on it
UPDATE background_job
   SET state = 'RUNNING',
       reason = NULL,
       lease_no = lease_no + 1,
       lease_until = coalesce(CAST(:now AS timestamptz), statement_timestamp())
                     + make_interval(secs => CAST(CAST(:lease_seconds AS jsonb) ->> type AS double precision)),
       started_at = coalesce(CAST(:now AS timestamptz), statement_timestamp())
 WHERE id = ANY (ARRAY(
       SELECT due.id
         FROM unnest(CAST(:lanes AS text[]), CAST(:types AS text[]), CAST(:tenants AS text[]), CAST(:slots AS integer[]),
                     CAST(:after_run_at AS timestamptz[]), CAST(:after_id AS bigint[]), CAST(:names AS text[]))
              AS share (lane, type, tenant, slots, after_run_at, after_id, names)
        CROSS JOIN LATERAL (
              SELECT id FROM background_job
               WHERE state = 'PENDING' AND lane = share.lane COLLATE "C" AND type = share.type COLLATE "C"
                 AND tenant = share.tenant COLLATE "C"
                 AND run_at <= coalesce(CAST(:now AS timestamptz), now())
                 AND (run_at, id) > (share.after_run_at, share.after_id)
                 AND NOT EXISTS (
                     SELECT FROM job_hold
                      WHERE (until IS NULL OR until > coalesce(CAST(:now AS timestamptz), now()))
                        AND jsonb_exists(CAST(share.names AS jsonb), name))
               ORDER BY run_at, id
               LIMIT share.slots
                 FOR NO KEY UPDATE SKIP LOCKED) AS due))
RETURNING id, lease_no, lane, type, tenant, CAST(payload AS text), generation, attempts, run_at, created_at
