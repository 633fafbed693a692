-- Delete jobs that have ended, those that are still as they were seen, with all that is kept of them.  What somebody has
-- locked is stepped over.  It carries no lease, for it touches no unfinished job.  The primary key serves it.
-- moves: SUCCEEDED, FAILED, CANCELLED -> nothing: a person deletes all that a filter finds
WITH free AS MATERIALIZED (
    SELECT id, lease_no, generation FROM background_job
     WHERE id = ANY (CAST(:ids AS bigint[])) AND state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
     ORDER BY id
       FOR UPDATE SKIP LOCKED
), same AS MATERIALIZED (
    SELECT id FROM free
      JOIN unnest(CAST(:ids AS bigint[]), CAST(:lease_nos AS integer[]), CAST(:generations AS integer[]))
           AS seen (id, lease_no, generation) USING (id, lease_no, generation)
)
DELETE FROM background_job WHERE id = ANY (ARRAY(SELECT id FROM same))
RETURNING id
