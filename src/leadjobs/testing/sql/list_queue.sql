-- The jobs of a test's queue, oldest first, by filters that may be null.  Reads the whole table: it is a test's.
SELECT job.*, progress, progress_at, result
  FROM background_job AS job
  LEFT JOIN job_result AS kept ON kept.job_id = job.id AND kept.generation = job.generation
 WHERE (CAST(:type AS text) IS NULL OR type = CAST(:type AS text))
   AND (CAST(:tenant AS text) IS NULL OR tenant = CAST(:tenant AS text))
   AND (CAST(:state AS text) IS NULL OR state = CAST(:state AS text))
 ORDER BY id
