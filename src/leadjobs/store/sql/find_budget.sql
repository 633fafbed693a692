-- How far a job's tenant is with today's budget in some units, and when the day ends (UTC): no row where the lease holds no
-- more.  By primary keys.
SELECT asked.unit, asked.amount AS asked, cap.cap_per_day AS cap, coalesce(today.used, 0) AS used,
       (date_trunc('day', coalesce(CAST(:now AS timestamptz), now()) AT TIME ZONE 'UTC') + interval '1 day')
           AT TIME ZONE 'UTC' AS until
  FROM background_job AS job
 CROSS JOIN jsonb_to_recordset(CAST(:asked AS jsonb)) AS asked (unit text, amount bigint)
  LEFT JOIN LATERAL (
       SELECT cap_per_day FROM job_budget
        WHERE job_budget.tenant IN (job.tenant, '*') AND job_budget.unit = asked.unit
        ORDER BY job_budget.tenant = '*' LIMIT 1) AS cap ON true
  LEFT JOIN job_budget_day AS today
    ON today.tenant = job.tenant AND today.unit = asked.unit
   AND today.day = CAST(coalesce(CAST(:now AS timestamptz), now()) AT TIME ZONE 'UTC' AS date)
 WHERE job.id = CAST(:id AS bigint) AND job.lease_no = CAST(:lease_no AS integer)
 ORDER BY asked.unit
