-- Write down that an effect is about to be made, for the job's owner: a row comes back only if the lease still holds and the
-- effect may be made now, for nobody has begun it, it certainly was not made, or the unanswered intent of the lease given as
-- not_sent_under was looked up and not found.  The job, and the effect that stands, stay locked until the commit.  The
-- primary keys of both tables serve it.
WITH owner AS MATERIALIZED (
    SELECT id FROM background_job
     WHERE id = CAST(:id AS bigint) AND lease_no = CAST(:lease_no AS integer)
       FOR NO KEY UPDATE
)
INSERT INTO job_effect AS effect (job_id, generation, name, tag, lease_no)
SELECT id, CAST(:generation AS integer), CAST(:name AS text), CAST(:tag AS text), CAST(:lease_no AS integer)
  FROM owner
    ON CONFLICT (job_id, generation, name) DO UPDATE
   SET state = 'intended', lease_no = excluded.lease_no, told_by = NULL, intended_at = now(), answered_at = NULL
 WHERE effect.state = 'refused'
    OR effect.state = 'intended' AND effect.lease_no = CAST(:not_sent_under AS integer)
RETURNING name
