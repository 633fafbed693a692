-- The message that has this key.
SELECT id, lead_id FROM message
 WHERE workspace_id = CAST(:workspace_id AS bigint) AND source = CAST(:source AS text)
   AND message_key = CAST(:message_key AS text)
