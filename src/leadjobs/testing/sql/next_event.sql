-- When a runner of these types next has something to do: a job falls due, or a lease ends.  Reads the whole table.
SELECT min(CASE state WHEN 'PENDING' THEN run_at ELSE lease_until END) AS at
  FROM background_job
 WHERE state IN ('PENDING', 'RUNNING') AND type = ANY (CAST(:types AS text[]))
