-- What waits for a budget: by type and tenant, why, until when, and how many jobs were put off.  A hold keeps all of them back
-- and counts none.  An operator's statement: it looks at every waiting job, by background_job_pending.
SELECT type, tenant, max(reason) AS reason, max(until) AS until, CAST(sum(jobs) AS bigint) AS jobs
  FROM (
      SELECT type, tenant, reason, run_at AS until, 1 AS jobs
        FROM background_job WHERE state = 'PENDING' AND reason LIKE 'over budget: %'
       UNION ALL
      SELECT split_part(name, '@', 1), substr(name, strpos(name, '@') + 1), reason, until, 0
        FROM job_hold WHERE kind = 'over_budget' AND strpos(name, '@') > 0
  ) AS waiting
 GROUP BY type, tenant
 ORDER BY tenant, type
