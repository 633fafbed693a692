-- Keep a delivery as it came, for the workspace that owns one of its tenant keys; the first key given wins.
-- No row comes back where it was kept before, unless nobody knew its workspace then.
WITH owner AS (
    SELECT workspace_id
      FROM workspace_source
     WHERE source = CAST(:source AS text) AND tenant_key = ANY (CAST(:tenant_keys AS text[]))
     ORDER BY array_position(CAST(:tenant_keys AS text[]), tenant_key)
     LIMIT 1
)
INSERT INTO inbox_event (source, tenant_keys, delivery_key, workspace_id, what, url, content_type, body)
SELECT CAST(:source AS text), CAST(:tenant_keys AS text[]), CAST(:delivery_key AS text), (SELECT workspace_id FROM owner),
       CASE WHEN CAST(:is_message AS boolean) AND NOT EXISTS (SELECT FROM owner)
            THEN 'ignored: no workspace has this source' ELSE CAST(:what AS text) END,
       CAST(:url AS text), CAST(:content_type AS text), CAST(:body AS bytea)
    ON CONFLICT ON CONSTRAINT inbox_event_once DO UPDATE
   SET workspace_id = excluded.workspace_id, what = excluded.what
 WHERE inbox_event.workspace_id IS NULL AND excluded.workspace_id IS NOT NULL
RETURNING id, workspace_id, what
