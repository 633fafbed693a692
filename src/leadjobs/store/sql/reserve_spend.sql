-- Reserve amounts of today's budget (the day in UTC, by the database's clock) for the job's owner: a row comes back for each
-- unit whose cap they keep to; none, if the lease holds no more.  If some are missing, roll back.  The tenant's own cap
-- counts, else that of the tenant '*'; without either there is none.  Rows of the day are locked in the order of their units,
-- after the job, and their newest amounts are compared.  By primary keys.
WITH owner AS MATERIALIZED (
    SELECT id, tenant FROM background_job
     WHERE id = CAST(:id AS bigint) AND lease_no = CAST(:lease_no AS integer)
       FOR NO KEY UPDATE
), asked AS MATERIALIZED (
    SELECT owner.tenant, asked.unit, asked.amount, cap.cap_per_day AS cap
      FROM owner
     CROSS JOIN jsonb_to_recordset(CAST(:asked AS jsonb)) AS asked (unit text, amount bigint)
      LEFT JOIN LATERAL (
           SELECT cap_per_day FROM job_budget
            WHERE job_budget.tenant IN (owner.tenant, '*') AND job_budget.unit = asked.unit
            ORDER BY job_budget.tenant = '*' LIMIT 1) AS cap ON true
), added AS (
    INSERT INTO job_budget_day AS today (tenant, unit, day, used)
    SELECT tenant, unit, CAST(coalesce(CAST(:now AS timestamptz), now()) AT TIME ZONE 'UTC' AS date), amount
      FROM asked
     WHERE cap IS NULL OR amount <= cap
     ORDER BY unit
        ON CONFLICT (tenant, unit, day) DO UPDATE
       SET used = today.used + excluded.used
     WHERE today.used + excluded.used
           <= coalesce((SELECT cap FROM asked WHERE asked.unit = excluded.unit), today.used + excluded.used)
    RETURNING unit, day
)
INSERT INTO job_spend (job_id, lease_no, generation, tenant, day, unit, what, reserved)
SELECT CAST(:id AS bigint), CAST(:lease_no AS integer), CAST(:generation AS integer), asked.tenant, added.day, added.unit,
       CAST(:what AS text), asked.amount
  FROM added JOIN asked USING (unit)
RETURNING id, unit
