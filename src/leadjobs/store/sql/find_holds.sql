-- The holds that are on, and in how many seconds each ends by itself.
SELECT name, extract(epoch FROM until - coalesce(CAST(:now AS timestamptz), now())) AS seconds
  FROM job_hold
 WHERE until IS NULL OR until > coalesce(CAST(:now AS timestamptz), now())
