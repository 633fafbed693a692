-- What the calls of a model in the last so many days used and cost, by one thing; the line without a name sums up all.
-- The cost is not complete where a bill has no price, or none came from a call that may have been billed: all but those
-- that the provider answered (request_id) with a failure and no usage.  Uses ai_interaction_by_workspace.
SELECT name,
       count(*) AS calls,
       count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       count(*) FILTER (WHERE status = 'asked') AS without_end,
       count(*) FILTER (
           WHERE cost_usd_micros IS NULL
             AND (status <> 'failed' OR input_tokens IS NOT NULL OR request_id IS NULL)
       ) = 0 AS cost_complete,
       coalesce(sum(input_tokens), 0) AS input_tokens,
       coalesce(sum(cached_tokens), 0) AS cached_tokens,
       coalesce(sum(output_tokens), 0) AS output_tokens,
       coalesce(sum(reasoning_tokens), 0) AS reasoning_tokens,
       coalesce(sum(cost_usd_micros), 0) AS cost_usd_micros,
       percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95_latency_ms
  FROM (
      SELECT call.*,
             CASE CAST(:by AS text)
                 WHEN 'workspace' THEN workspace.name
                 WHEN 'feature' THEN call.feature
                 WHEN 'model' THEN call.model
                 WHEN 'source' THEN call.source
                 WHEN 'day' THEN to_char(call.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')
             END AS name
        FROM workspace
        JOIN ai_interaction AS call
          ON call.workspace_id = workspace.id AND call.created_at >= now() - make_interval(days => CAST(:days AS integer))
       WHERE CAST(:workspace_id AS bigint) IS NULL OR workspace.id = CAST(:workspace_id AS bigint)
  ) AS call
 GROUP BY GROUPING SETS ((name), ())
 ORDER BY grouping(name), CASE CAST(:by AS text) WHEN 'day' THEN name END DESC, cost_usd_micros DESC, name
