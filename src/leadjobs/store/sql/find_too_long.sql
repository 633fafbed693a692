-- When an invocation last ended whose time left was too short for a type, since a job of it was due, within the last day.
-- By ix_runner_invocation_ended_at.
SELECT max(ended_at) AS ended_at
  FROM runner_invocation
 WHERE ended_at > greatest(CAST(:since AS timestamptz), coalesce(CAST(:now AS timestamptz), now()) - interval '1 day')
   AND jsonb_exists(report -> 'tooLong', CAST(:type AS text))
