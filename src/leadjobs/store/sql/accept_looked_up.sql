-- Keep what looking up an unanswered effect has found, for the job's owner; what is accepted already stays as it is.
-- By the primary keys of both tables.
WITH owner AS MATERIALIZED (
    SELECT id FROM background_job
     WHERE id = CAST(:id AS bigint) AND lease_no = CAST(:lease_no AS integer)
       FOR NO KEY UPDATE
)
UPDATE job_effect AS effect
   SET state = 'accepted', receipt = CAST(:receipt AS jsonb), told_by = 'look_up', answered_at = now()
  FROM owner
 WHERE effect.job_id = owner.id AND effect.generation = CAST(:generation AS integer)
   AND effect.name = CAST(:name AS text) AND effect.state = 'intended'
RETURNING name
