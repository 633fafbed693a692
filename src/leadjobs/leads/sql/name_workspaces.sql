-- The names of some workspaces.  By the primary key.
SELECT id, name FROM workspace WHERE id = ANY (CAST(:ids AS bigint[]))
