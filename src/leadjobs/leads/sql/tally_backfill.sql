-- What a backfill's scoring jobs have come to: how many have not ended, failed, and were added within the last minute; what
-- their calls of a model cost, and how many calls may have been billed at a cost that is not known (all without one but
-- those that the provider answered, request_id, with a failure and no usage).
-- By a range of the index background_job_hold for each workspace (OFFSET 0 holds the planner to it: without, it may walk all
-- jobs of the type), then by ix_ai_interaction_job_id.
SELECT count(*) FILTER (WHERE job.state IN ('PENDING', 'RUNNING')) AS unended,
       count(*) FILTER (WHERE job.state = 'FAILED') AS failed,
       count(*) FILTER (WHERE job.created_at > coalesce(CAST(:now AS timestamptz), now()) - interval '1 minute') AS recent,
       CAST(coalesce(sum(call.cost_usd_micros), 0) AS bigint) AS cost_usd_micros,
       CAST(coalesce(sum(call.of_unknown_cost), 0) AS bigint) AS calls_of_unknown_cost
  FROM workspace
 CROSS JOIN LATERAL (
       SELECT id, state, created_at FROM background_job
        WHERE type = CAST(:type AS text) AND tenant = CAST(workspace.id AS text)
          AND hold >= CAST(:first_key AS text) AND hold < CAST(:key_beyond AS text)
       OFFSET 0) AS job
 CROSS JOIN LATERAL (
       SELECT sum(cost_usd_micros) AS cost_usd_micros,
              count(*) FILTER (
                  WHERE cost_usd_micros IS NULL
                    AND (status <> 'failed' OR input_tokens IS NOT NULL OR request_id IS NULL)) AS of_unknown_cost
         FROM ai_interaction WHERE job_id = job.id) AS call
 WHERE CAST(:workspace_id AS bigint) IS NULL OR workspace.id = CAST(:workspace_id AS bigint)
