-- Seconds since a runner last ended a job, and since one last ran at all.  Index: ix_runner_invocation_ended_at.
SELECT extract(epoch FROM coalesce(CAST(:now AS timestamptz), now()) - max(last_completion_at)) AS since_completion,
       extract(epoch FROM coalesce(CAST(:now AS timestamptz), now()) - max(ended_at)) AS since_invocation
  FROM runner_invocation
 WHERE ended_at > coalesce(CAST(:now AS timestamptz), now()) - interval '7 days'
