-- The streams (lane, type, tenant) of the known types that have due work.  A loose scan of background_job_pending: one
-- probe per stream, whatever it holds, and none for unknown types or for rows that are not due yet.  And the names that are
-- held, and in how many seconds each is free again by itself.
SELECT kind.lane, kind.type, stream.tenant, CAST(NULL AS text) AS held, CAST(NULL AS double precision) AS seconds
  FROM (SELECT lane, type
          FROM unnest(CAST(:lanes AS text[])) AS lane CROSS JOIN unnest(CAST(:types AS text[])) AS type) AS kind
 CROSS JOIN LATERAL (
       WITH RECURSIVE head AS (
           (SELECT tenant, run_at FROM background_job
             WHERE state = 'PENDING' AND lane = kind.lane COLLATE "C" AND type = kind.type COLLATE "C"
             ORDER BY tenant, run_at LIMIT 1)
           UNION ALL
           SELECT next.tenant, next.run_at
             FROM head CROSS JOIN LATERAL (
                  SELECT tenant, run_at FROM background_job
                   WHERE state = 'PENDING' AND lane = kind.lane COLLATE "C" AND type = kind.type COLLATE "C"
                     AND tenant > head.tenant
                   ORDER BY tenant, run_at LIMIT 1) AS next
       )
       SELECT tenant FROM head WHERE run_at <= coalesce(CAST(:now AS timestamptz), now())
       ) AS stream
 UNION ALL
SELECT NULL, NULL, NULL, name, extract(epoch FROM until - coalesce(CAST(:now AS timestamptz), now()))
  FROM job_hold
 WHERE until IS NULL OR until > coalesce(CAST(:now AS timestamptz), now())
