-- How many jobs of its stream come before a waiting job, up to a ceiling; and what time it is.  Index: background_job_pending.
SELECT count(*) AS jobs, now() AS now
  FROM (SELECT FROM background_job
         WHERE state = 'PENDING' AND lane = CAST(:lane AS text) COLLATE "C" AND type = CAST(:type AS text) COLLATE "C"
           AND tenant = CAST(:tenant AS text) COLLATE "C"
           AND (run_at, id) < (CAST(:run_at AS timestamptz), CAST(:id AS bigint))
         ORDER BY run_at, id LIMIT 1000) AS ahead
