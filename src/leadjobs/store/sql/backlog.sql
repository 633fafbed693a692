-- How much due work is left (counted up to a ceiling), how old the oldest is, and which types nobody here knows.
WITH RECURSIVE stream AS (
    (SELECT lane, type, tenant, run_at FROM background_job
      WHERE state = 'PENDING' ORDER BY lane, type, tenant, run_at LIMIT 1)
    UNION ALL
    SELECT next.lane, next.type, next.tenant, next.run_at
      FROM stream CROSS JOIN LATERAL (
           SELECT lane, type, tenant, run_at FROM background_job
            WHERE state = 'PENDING' AND (lane, type, tenant) > (stream.lane, stream.type, stream.tenant)
            ORDER BY lane, type, tenant, run_at LIMIT 1) AS next
), due AS MATERIALIZED (
    SELECT * FROM stream WHERE run_at <= coalesce(CAST(:now AS timestamptz), now())
)
SELECT (SELECT count(*) FROM (
            SELECT 1 FROM due CROSS JOIN LATERAL (
                   SELECT 1 FROM background_job AS job
                    WHERE job.state = 'PENDING' AND job.lane = due.lane AND job.type = due.type AND job.tenant = due.tenant
                      AND job.run_at <= coalesce(CAST(:now AS timestamptz), now())
                    LIMIT CAST(:ceiling AS integer)) AS one
             LIMIT CAST(:ceiling AS integer)) AS counted) AS due,
       (SELECT extract(epoch FROM coalesce(CAST(:now AS timestamptz), now()) - min(run_at)) FROM due) AS oldest_due_seconds,
       (SELECT array_agg(DISTINCT type ORDER BY type) FROM due WHERE type <> ALL (CAST(:types AS text[]))) AS unknown_types
