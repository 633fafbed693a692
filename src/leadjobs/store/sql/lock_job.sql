-- Lock one job for an operator's next statement, which then sees all that was committed before.  By the primary key.
SELECT id FROM background_job WHERE id = CAST(:id AS bigint) FOR NO KEY UPDATE
