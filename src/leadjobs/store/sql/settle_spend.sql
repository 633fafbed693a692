-- Say what a call really took, for the job's owner: the day on which it was reserved moves from the reserved amounts to these.
-- A row comes back for each amount that was told; none, if the lease holds no more or it was told before.  Rows of the day are
-- locked in the order of their units, after the job.  By primary keys.
WITH owner AS MATERIALIZED (
    SELECT id FROM background_job
     WHERE id = CAST(:id AS bigint) AND lease_no = CAST(:lease_no AS integer)
       FOR NO KEY UPDATE
), settled AS (
    UPDATE job_spend AS spend
       SET actual = told.actual, settled_at = now()
      FROM owner, jsonb_to_recordset(CAST(:told AS jsonb)) AS told (id bigint, actual bigint)
     WHERE spend.id = told.id AND spend.job_id = owner.id AND spend.lease_no = CAST(:lease_no AS integer)
       AND spend.actual IS NULL
    RETURNING spend.id, spend.tenant, spend.unit, spend.day, spend.actual - spend.reserved AS more
), locked AS MATERIALIZED (
    SELECT today.tenant, today.unit, today.day, settled.id, settled.more
      FROM settled JOIN job_budget_day AS today USING (tenant, unit, day)
     ORDER BY today.unit
       FOR NO KEY UPDATE OF today
), moved AS (
    UPDATE job_budget_day AS today
       SET used = today.used + locked.more
      FROM locked
     WHERE today.tenant = locked.tenant AND today.unit = locked.unit AND today.day = locked.day
    RETURNING locked.id
)
SELECT id FROM moved
