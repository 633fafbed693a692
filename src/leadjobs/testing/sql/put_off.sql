-- Put the other waiting jobs of a type off by a span that no test lives to see the end of.  Uses background_job_pending.
UPDATE background_job
   SET run_at = run_at + make_interval(hours => CAST(:hours AS integer))
 WHERE state = 'PENDING' AND type = CAST(:type AS text) AND id <> CAST(:id AS bigint)
RETURNING id
