-- A kept delivery that no workspace has, for whoever is first to look at it again.
SELECT id, source, tenant_keys, delivery_key, what, url, content_type, body, received_at
  FROM inbox_event
 WHERE id = CAST(:event_id AS bigint) AND workspace_id IS NULL
   FOR UPDATE SKIP LOCKED
