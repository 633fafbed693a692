-- Take back what put_off.sql did to these jobs, where nobody has given them another time since.  Uses the primary key.
UPDATE background_job
   SET run_at = run_at - make_interval(hours => CAST(:hours AS integer))
 WHERE id = ANY (CAST(:ids AS bigint[])) AND run_at > now() + make_interval(hours => CAST(:hours AS integer) / 2)
