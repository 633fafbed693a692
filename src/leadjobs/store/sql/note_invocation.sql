-- Keep what an invocation did; forget those of more than a week ago, a bounded number at a time.
WITH forgotten AS (
    DELETE FROM runner_invocation
     WHERE id = ANY (ARRAY(SELECT id FROM runner_invocation
                            WHERE ended_at < coalesce(CAST(:now AS timestamptz), now()) - interval '7 days' LIMIT 100))
)
INSERT INTO runner_invocation (id, started_at, ended_at, last_completion_at, report)
SELECT CAST(:id AS uuid), moment - make_interval(secs => CAST(:seconds AS double precision)), moment,
       moment - make_interval(secs => CAST(:since_completion AS double precision)), CAST(:report AS jsonb)
  FROM (SELECT coalesce(CAST(:now AS timestamptz), now()) AS moment) AS this
