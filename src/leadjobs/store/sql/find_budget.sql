-- How far a job's tenant is with today's budget in some units: no row where the lease holds no more.  until is when to ask
-- again: when the day ends (UTC), or soon, where it would fit if others that run now took nothing of what they have reserved.
-- Soon is later the more jobs of the stream wait, so that ten of them ask in a second, and not all at once.  The others' are
-- looked for among the newest thousand unsettled amounts.  By primary keys, job_spend_unsettled and background_job_pending.
SELECT asked.unit, asked.amount AS asked, cap.cap_per_day AS cap, coalesce(today.used, 0) AS used, others.reserved,
       CASE WHEN coalesce(today.used, 0) - others.reserved + asked.amount > cap.cap_per_day THEN day.ends
            ELSE least(day.ends, day.now + make_interval(secs => greatest(CAST(:seconds AS double precision), waiting.jobs / 10.0)
                                                                 * (0.75 + random() / 2))) END AS until
  FROM background_job AS job
 CROSS JOIN jsonb_to_recordset(CAST(:asked AS jsonb)) AS asked (unit text, amount bigint)
 CROSS JOIN LATERAL (
       SELECT now, CAST(now AT TIME ZONE 'UTC' AS date) AS date,
              (date_trunc('day', now AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE 'UTC' AS ends
         FROM (SELECT coalesce(CAST(:now AS timestamptz), now()) AS now) AS clock) AS day
 CROSS JOIN LATERAL (
       SELECT count(*) AS jobs
         FROM (SELECT FROM background_job AS other
                WHERE other.state = 'PENDING' AND other.lane = job.lane AND other.type = job.type
                  AND other.tenant = job.tenant LIMIT 3000) AS next) AS waiting
  LEFT JOIN LATERAL (
       SELECT cap_per_day FROM job_budget
        WHERE job_budget.tenant IN (job.tenant, '*') AND job_budget.unit = asked.unit
        ORDER BY job_budget.tenant = '*' LIMIT 1) AS cap ON true
  LEFT JOIN job_budget_day AS today
    ON today.tenant = job.tenant AND today.unit = asked.unit AND today.day = day.date
 CROSS JOIN LATERAL (
       SELECT CAST(coalesce(sum(newest.reserved), 0) AS bigint) AS reserved
         FROM (SELECT spend.job_id, spend.lease_no, spend.reserved FROM job_spend AS spend
                WHERE spend.tenant = job.tenant AND spend.unit = asked.unit AND spend.day = day.date
                  AND spend.actual IS NULL
                ORDER BY spend.id DESC LIMIT 1000) AS newest
         JOIN background_job AS other ON other.id = newest.job_id AND other.lease_no = newest.lease_no
        WHERE other.id <> job.id) AS others
 WHERE job.id = CAST(:id AS bigint) AND job.lease_no = CAST(:lease_no AS integer)
 ORDER BY asked.unit
