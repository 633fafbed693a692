-- How long runs took, as the newest invocations of the last day have kept it that ran any.  Walks
-- ix_runner_invocation_ended_at backwards, a bounded number of rows.
SELECT report -> 'durations' AS durations
  FROM (SELECT report FROM runner_invocation
         WHERE ended_at > coalesce(CAST(:now AS timestamptz), now()) - interval '1 day'
         ORDER BY ended_at DESC
         LIMIT 1500) AS newest
 WHERE jsonb_typeof(report -> 'durations') = 'object'
 LIMIT CAST(:invocations AS integer)
