-- Cancel a job that has not ended.  A running one loses its lease, so nothing its handler does after this is kept.
-- moves: PENDING, RUNNING -> CANCELLED: a person cancels it
UPDATE background_job
   SET state = 'CANCELLED', reason = CAST(:reason AS text), next_payload = NULL,
       lease_no = lease_no + 1, lease_until = NULL, finished_at = coalesce(CAST(:now AS timestamptz), now())
 WHERE id = CAST(:id AS bigint) AND state IN ('PENDING', 'RUNNING')
RETURNING id
