-- Cancel a backfill's scoring jobs that wait.  One that is being claimed at this moment is let run.
-- By background_job_pending, or a range of background_job_hold for each workspace.
-- moves: PENDING -> CANCELLED: its backfill is cancelled
UPDATE background_job
   SET state = 'CANCELLED', reason = CAST(:reason AS text), next_payload = NULL,
       lease_no = lease_no + 1, lease_until = NULL, finished_at = now()
 WHERE state = 'PENDING' AND id = ANY (ARRAY(
       SELECT job.id
         FROM workspace
        CROSS JOIN LATERAL (
              SELECT id FROM background_job
               WHERE type = CAST(:type AS text) AND tenant = CAST(workspace.id AS text)
                 AND hold >= CAST(:first_key AS text) AND hold < CAST(:key_beyond AS text)
                 AND state = 'PENDING') AS job
        WHERE CAST(:workspace_id AS bigint) IS NULL OR workspace.id = CAST(:workspace_id AS bigint)))
RETURNING id
