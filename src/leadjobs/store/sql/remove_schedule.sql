-- Forget a schedule; where a runner still declares it, it is there again, as a new one, with that runner's next look.  The
-- primary key serves it.
DELETE FROM job_schedule WHERE name = CAST(:name AS text) RETURNING name
