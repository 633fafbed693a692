-- Cancel jobs that have not ended, those that are still as they were seen.  Running ones lose their leases, so nothing that
-- their handlers do after this is kept.  What somebody has locked is stepped over.  The primary key serves it.
-- moves: PENDING, RUNNING -> CANCELLED: a person cancels all that a filter finds
WITH free AS MATERIALIZED (
    SELECT id, lease_no, generation FROM background_job
     WHERE id = ANY (CAST(:ids AS bigint[])) AND state IN ('PENDING', 'RUNNING')
     ORDER BY id
       FOR NO KEY UPDATE SKIP LOCKED
), same AS MATERIALIZED (
    SELECT id FROM free
      JOIN unnest(CAST(:ids AS bigint[]), CAST(:lease_nos AS integer[]), CAST(:generations AS integer[]))
           AS seen (id, lease_no, generation) USING (id, lease_no, generation)
)
UPDATE background_job
   SET state = 'CANCELLED', reason = CAST(:reason AS text), next_payload = NULL,
       lease_no = lease_no + 1, lease_until = NULL, finished_at = coalesce(CAST(:now AS timestamptz), now())
 WHERE id = ANY (ARRAY(SELECT id FROM same))
RETURNING id
