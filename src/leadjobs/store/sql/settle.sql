-- End the runs of jobs whose lease still holds, and keep a record of what went wrong.  Fenced by id and lease_no, never by
-- the state (so that only the primary key can serve it).  Rows that somebody has locked are stepped over: try them again,
-- or lock them first (fence.sql).  A job that was given a next payload while it ran is waiting again, whatever became of this run.
WITH ending AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:endings AS jsonb))
        AS ending (id bigint, lease_no integer, state text, reason text, attempts integer, delay double precision,
                   run_at timestamptz, ended_as text, error_type text, error text, trace text)
), held AS MATERIALIZED (
    SELECT job.id, job.lease_no, job.generation, job.started_at, job.next_payload IS NOT NULL AS is_dirty
      FROM background_job AS job JOIN ending ON ending.id = job.id
     WHERE job.id = ANY (ARRAY(SELECT id FROM ending))
       AND job.lease_no = ending.lease_no
     ORDER BY job.id
       FOR NO KEY UPDATE OF job SKIP LOCKED
), settled AS (
    UPDATE background_job AS job
       SET state = CASE WHEN is_dirty THEN 'PENDING' ELSE ending.state END,
           reason = CASE WHEN is_dirty THEN concat('runs again with a newer payload; the last run: ', ending.reason)
                         ELSE ending.reason END,
           payload = coalesce(job.next_payload, job.payload),
           next_payload = NULL,
           generation = job.generation + CASE WHEN is_dirty THEN 1 ELSE 0 END,
           attempts = CASE WHEN is_dirty THEN 0 ELSE ending.attempts END,
           run_at = CASE WHEN is_dirty THEN coalesce(CAST(:now AS timestamptz), now())
                         WHEN ending.run_at IS NOT NULL THEN ending.run_at
                         WHEN ending.delay IS NOT NULL
                         THEN coalesce(CAST(:now AS timestamptz), now()) + make_interval(secs => ending.delay)
                         ELSE job.run_at END,
           lease_no = job.lease_no + 1,
           lease_until = NULL,
           finished_at = CASE WHEN is_dirty OR ending.state = 'PENDING' THEN NULL
                              ELSE coalesce(CAST(:now AS timestamptz), now()) END
      FROM ending JOIN held ON held.id = ending.id AND held.lease_no = ending.lease_no
     WHERE job.id = ending.id AND job.id = ANY (ARRAY(SELECT id FROM held))
    RETURNING job.id
), noted AS (
    INSERT INTO job_attempt (job_id, generation, lease_no, ended_as, error_type, error, trace, started_at, ended_at)
    SELECT id, held.generation, lease_no, ended_as, error_type, error, trace, held.started_at,
           coalesce(CAST(:now AS timestamptz), now())
      FROM ending JOIN held USING (id, lease_no) WHERE ended_as IS NOT NULL
)
SELECT id FROM settled
