-- Keep the result of a finished step, for the job's owner: a row comes back only if the lease still holds, and the job
-- stays locked until the commit.  The primary keys of both tables serve it.
WITH owner AS MATERIALIZED (
    SELECT id FROM background_job
     WHERE id = CAST(:id AS bigint) AND lease_no = CAST(:lease_no AS integer)
       FOR NO KEY UPDATE
)
INSERT INTO job_step (job_id, generation, name, result, lease_no)
SELECT id, CAST(:generation AS integer), CAST(:name AS text), CAST(:result AS jsonb), CAST(:lease_no AS integer)
  FROM owner
    ON CONFLICT (job_id, generation, name) DO UPDATE
   SET result = excluded.result, lease_no = excluded.lease_no, finished_at = now()
RETURNING name
