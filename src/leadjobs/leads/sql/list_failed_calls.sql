-- The newest calls of a model that failed in the last so many days.  Uses ai_interaction_by_workspace.
SELECT call.id, call.created_at, workspace.name AS workspace, call.feature, call.model, call.job_id, call.job_attempt,
       call.latency_ms, call.request_id, call.error
  FROM workspace
  JOIN ai_interaction AS call
    ON call.workspace_id = workspace.id AND call.created_at >= now() - make_interval(days => CAST(:days AS integer))
 WHERE (CAST(:workspace_id AS bigint) IS NULL OR workspace.id = CAST(:workspace_id AS bigint))
   AND call.status = 'failed'
 ORDER BY call.created_at DESC, call.id DESC
 LIMIT CAST(:max_calls AS integer)
