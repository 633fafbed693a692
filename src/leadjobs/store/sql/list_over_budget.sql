-- What waits for a budget: by type and tenant, why, until when, and how many jobs were put off.  An operator's statement: it
-- looks at every waiting job, by background_job_pending.
SELECT type, tenant, max(reason) AS reason, max(run_at) AS until, count(*) AS jobs
  FROM background_job
 WHERE state = 'PENDING' AND reason LIKE 'over budget: %'
 GROUP BY type, tenant
 ORDER BY tenant, type
