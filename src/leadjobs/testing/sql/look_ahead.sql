-- What a runner of these types has before it: whether a job is left, whether one is due, and when something next happens:
-- a job falls due, a lease or a hold ends, a rate lets the next job start.  Reads the whole table: it is a test's.
WITH clock AS (
    SELECT coalesce(CAST(:now AS timestamptz), now()) AS now
), job AS (
    SELECT CASE state WHEN 'PENDING' THEN run_at ELSE lease_until END AS at
      FROM background_job
     WHERE state IN ('PENDING', 'RUNNING') AND type = ANY (CAST(:types AS text[]))
), event AS (
    SELECT at FROM job UNION ALL SELECT until FROM job_hold UNION ALL SELECT free_at FROM job_limit
)
SELECT EXISTS (SELECT FROM job) AS is_any_left,
       EXISTS (SELECT FROM job, clock WHERE at <= now) AS is_due,
       (SELECT min(at) FROM event, clock WHERE at > now) AS next_at
