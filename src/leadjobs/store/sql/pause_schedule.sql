-- Let a schedule's ticks pass by from now on; one that is paused stays so, as it was.  The primary key serves it.
UPDATE job_schedule
   SET paused_at = coalesce(paused_at, CAST(:now AS timestamptz), now()),
       paused_by = coalesce(paused_by, CAST(:paused_by AS text))
 WHERE name = CAST(:name AS text)
RETURNING name
