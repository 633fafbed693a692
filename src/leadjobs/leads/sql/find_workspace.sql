-- The workspace that owns one of these names of a source; the first name given wins.
SELECT workspace_id
  FROM workspace_source
 WHERE source = CAST(:source AS text) AND tenant_key = ANY (CAST(:tenant_keys AS text[]))
 ORDER BY array_position(CAST(:tenant_keys AS text[]), tenant_key)
 LIMIT 1
