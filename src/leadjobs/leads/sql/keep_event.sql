-- Keep a delivery as it came.  No row comes back where it was kept before, unless nobody knew its workspace then.
INSERT INTO inbox_event (source, delivery_key, workspace_id, what, url, content_type, body)
VALUES (CAST(:source AS text), CAST(:delivery_key AS text), CAST(:workspace_id AS bigint), CAST(:what AS text),
        CAST(:url AS text), CAST(:content_type AS text), CAST(:body AS bytea))
    ON CONFLICT ON CONSTRAINT inbox_event_once DO UPDATE
   SET workspace_id = excluded.workspace_id, what = excluded.what
 WHERE inbox_event.workspace_id IS NULL AND excluded.workspace_id IS NOT NULL
RETURNING id
