-- Let go of what waits for a tenant's budget (that of the tenant '*': for anybody's): holds, and jobs put off until the day is
-- over.  What is still over budget waits again.  An operator's statement: it looks at every waiting job, by
-- background_job_pending.
WITH freed AS (
    DELETE FROM job_hold
     WHERE kind = 'over_budget' AND strpos(name, '@') > 0
       AND CAST(:tenant AS text) IN ('*', substr(name, strpos(name, '@') + 1))
    RETURNING name
), due AS (
    UPDATE background_job
       SET run_at = coalesce(CAST(:now AS timestamptz), now()), reason = 'its budget was changed'
     WHERE state = 'PENDING' AND reason LIKE 'over budget: %' AND CAST(:tenant AS text) IN ('*', tenant)
    RETURNING id
)
SELECT (SELECT count(*) FROM freed) AS holds, (SELECT count(*) FROM due) AS jobs
