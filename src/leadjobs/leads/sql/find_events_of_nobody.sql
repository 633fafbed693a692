-- Kept deliveries that no workspace has: nobody owned their tenant keys, or they could not be read.  Oldest first, by the
-- partial index inbox_event_of_nobody.
SELECT id FROM inbox_event
 WHERE workspace_id IS NULL AND id > CAST(:after_id AS bigint)
   AND (CAST(:source AS text) IS NULL OR source = CAST(:source AS text))
 ORDER BY id
 LIMIT CAST(:most AS integer)
