-- Let go of the jobs that were put off for a tenant's budget (that of the tenant '*': for anybody's).  What is still over
-- budget waits again.  An operator's statement: it looks at every waiting job, by background_job_pending.
-- moves: PENDING -> PENDING: it waited for a budget that was changed
UPDATE background_job
   SET run_at = coalesce(CAST(:now AS timestamptz), now()), lease_no = lease_no + 1, reason = 'its budget was changed'
 WHERE state = 'PENDING' AND reason LIKE 'over budget: %' AND CAST(:tenant AS text) IN ('*', tenant)
RETURNING id
