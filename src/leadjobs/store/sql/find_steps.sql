-- What a job has finished in this generation.  The primary key serves it.
SELECT name, result FROM job_step
 WHERE job_id = CAST(:id AS bigint) AND generation = CAST(:generation AS integer)
