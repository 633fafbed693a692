-- The workspace of this name.
SELECT id FROM workspace WHERE name = CAST(:name AS text)
