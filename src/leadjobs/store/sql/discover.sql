-- The streams (lane, type, tenant) of the known types that have due work, but for those that the caller knows to have: a look
-- at one's head may have to pass all that was claimed of it since the oldest snapshot that anybody still uses.  A loose scan of
-- background_job_pending in each gap between them: one probe per stream, whatever it holds, and none for unknown types or for
-- rows that are not due yet.  No text is between one and itself with chr(1) behind it; and the last gap of a type ends behind
-- its last tenant, for only a plain comparison ends a scan on every PostgreSQL.  And the names that are held, and in how many
-- seconds each is free again by itself.
WITH edge AS (
    SELECT lane, type, '' AS tenant, false AS is_known
      FROM unnest(CAST(:lanes AS text[])) AS lane CROSS JOIN unnest(CAST(:types AS text[])) AS type
     UNION ALL
    SELECT lane, type, tenant, true
      FROM unnest(CAST(:known_lanes AS text[]), CAST(:known_types AS text[]), CAST(:known_tenants AS text[]))
           AS known (lane, type, tenant)
), gap AS MATERIALIZED (
    SELECT lane, type, CASE WHEN is_known THEN tenant || chr(1) ELSE tenant END AS first,
           coalesce(lead(tenant) OVER (PARTITION BY lane, type ORDER BY is_known, tenant COLLATE "C"),
                    (SELECT job.tenant || chr(1) FROM background_job AS job
                      WHERE job.state = 'PENDING' AND job.lane = edge.lane COLLATE "C" AND job.type = edge.type COLLATE "C"
                      ORDER BY job.tenant DESC, job.run_at DESC LIMIT 1)) AS beyond
      FROM edge
)
SELECT gap.lane, gap.type, stream.tenant, CAST(NULL AS text) AS held, CAST(NULL AS double precision) AS seconds
  FROM gap
 CROSS JOIN LATERAL (
       WITH RECURSIVE head AS (
           (SELECT tenant, run_at FROM background_job
             WHERE state = 'PENDING' AND lane = gap.lane COLLATE "C" AND type = gap.type COLLATE "C"
               AND tenant >= gap.first COLLATE "C" AND tenant < gap.beyond COLLATE "C"
             ORDER BY tenant, run_at LIMIT 1)
           UNION ALL
           SELECT next.tenant, next.run_at
             FROM head CROSS JOIN LATERAL (
                  SELECT tenant, run_at FROM background_job
                   WHERE state = 'PENDING' AND lane = gap.lane COLLATE "C" AND type = gap.type COLLATE "C"
                     AND tenant > head.tenant AND tenant < gap.beyond COLLATE "C"
                   ORDER BY tenant, run_at LIMIT 1) AS next
       )
       SELECT tenant FROM head WHERE run_at <= coalesce(CAST(:now AS timestamptz), now())
       ) AS stream
 UNION ALL
SELECT NULL, NULL, NULL, name, extract(epoch FROM until - coalesce(CAST(:now AS timestamptz), now()))
  FROM job_hold
 WHERE until IS NULL OR until > coalesce(CAST(:now AS timestamptz), now())
