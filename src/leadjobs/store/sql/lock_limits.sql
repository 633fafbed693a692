-- Lock limits until the commit, in one order for all runners, and give up soon where one is held; says how long before
-- its rate lets the next job start if nothing may start at once.  A clock that never ran is at -infinity, from which only
-- numbers are subtracted before PostgreSQL 17.
SELECT name, extract(epoch FROM free_at) - extract(epoch FROM coalesce(CAST(:now AS timestamptz), now())) AS free_in
  FROM job_limit
 WHERE name = ANY (CAST(:names AS text[]))
   AND set_config('lock_timeout', '2s', true) || set_config('idle_in_transaction_session_timeout', '5s', true) <> ''
 ORDER BY name
   FOR NO KEY UPDATE
