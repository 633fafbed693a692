-- Let go of what is held by a name.
DELETE FROM job_hold WHERE name = CAST(:name AS text) RETURNING name
