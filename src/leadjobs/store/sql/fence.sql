-- Lock one job for its owner: a row comes back only if the lease still holds, and it then holds until the commit.
SELECT id FROM background_job
 WHERE id = CAST(:id AS bigint) AND lease_no = CAST(:lease_no AS integer)
   FOR NO KEY UPDATE
