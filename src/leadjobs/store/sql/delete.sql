-- Delete one job that has ended, with all that is kept of it.  It carries no lease, for it touches no unfinished job.  The
-- primary key serves it.
-- moves: SUCCEEDED, FAILED, CANCELLED -> nothing: a person deletes it
DELETE FROM background_job
 WHERE id = CAST(:id AS bigint) AND state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
RETURNING id
