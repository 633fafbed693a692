-- Let a paused schedule's ticks count from now on; one that is not paused stays as it is.  The primary key serves it.
UPDATE job_schedule
   SET since = CASE WHEN paused_at IS NULL THEN since ELSE coalesce(CAST(:now AS timestamptz), now()) END,
       paused_at = NULL, paused_by = NULL
 WHERE name = CAST(:name AS text)
RETURNING name
