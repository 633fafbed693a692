-- Who may spend how much of what today (the day in UTC), and how much of it is used; unknown is the part of it that was
-- reserved by runs that own their jobs no more and never told what they took.  is_default: the cap is that of the tenant '*'.
-- By primary keys and job_spend_unsettled.
WITH today AS MATERIALIZED (
    SELECT CAST(coalesce(CAST(:now AS timestamptz), now()) AT TIME ZONE 'UTC' AS date) AS day
), used AS MATERIALIZED (
    SELECT tenant, unit, used FROM job_budget_day WHERE day = (SELECT day FROM today)
), line AS (
    SELECT tenant, unit, own.cap_per_day, coalesce(used.used, 0) AS used
      FROM job_budget AS own FULL JOIN used USING (tenant, unit)
)
SELECT line.tenant, line.unit, coalesce(line.cap_per_day, other.cap_per_day) AS cap,
       line.cap_per_day IS NULL AND other.cap_per_day IS NOT NULL AS is_default, line.used, spent.unknown
  FROM line
  LEFT JOIN job_budget AS other ON other.tenant = '*' AND other.unit = line.unit
 CROSS JOIN LATERAL (
       SELECT CAST(coalesce(sum(spend.reserved), 0) AS bigint) AS unknown
         FROM job_spend AS spend LEFT JOIN background_job AS job ON job.id = spend.job_id
        WHERE spend.tenant = line.tenant AND spend.unit = line.unit AND spend.day = (SELECT day FROM today)
          AND spend.actual IS NULL AND job.lease_no IS DISTINCT FROM spend.lease_no) AS spent
 ORDER BY line.tenant, line.unit
