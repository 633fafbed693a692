-- End the runs of jobs whose lease still holds, and keep a record of what went wrong.  Fenced by id and lease_no, never by
-- the state (so that only the primary key can serve it), and only once the row is locked.  Rows that somebody else has locked
-- are stepped over: try them again, or lock them first (fence.sql).  A job that was given a next payload while it ran is
-- waiting again, whatever became of this run.  A live job waits for its next attempt in the lane 'retry'.
-- A run that found what it uses busy puts a hold on that name, for a second at the least, for the run used no attempt and
-- must not spin; of two holds on one name the longer stands.
-- moves: RUNNING -> PENDING, SUCCEEDED, FAILED: its run has ended, see above
WITH ending AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:endings AS jsonb))
        AS ending (id bigint, lease_no integer, state text, reason text, attempts integer, delay double precision,
                   run_at timestamptz, ended_as text, error_type text, error text, trace text,
                   hold_name text, hold_kind text, hold_seconds double precision, hold_until timestamptz)
), held AS MATERIALIZED (
    SELECT id, lease_no, generation, started_at, next_payload IS NOT NULL AS is_dirty
      FROM background_job
     WHERE id = ANY (ARRAY(SELECT id FROM ending))
     ORDER BY id
       FOR NO KEY UPDATE SKIP LOCKED
), ours AS MATERIALIZED (
    SELECT * FROM ending JOIN held USING (id, lease_no)
), settled AS (
    UPDATE background_job AS job
       SET state = CASE WHEN is_dirty THEN 'PENDING' ELSE ours.state END,
           lane = CASE WHEN is_dirty AND job.lane = 'retry' THEN 'live'
                       WHEN job.lane = 'live' AND NOT is_dirty AND ours.state = 'PENDING'
                            AND ours.ended_as IN ('failed', 'timed_out') THEN 'retry'
                       ELSE job.lane END,
           reason = CASE WHEN is_dirty THEN concat('runs again with a newer payload; the last run: ', ours.reason)
                         ELSE ours.reason END,
           payload = coalesce(job.next_payload, job.payload),
           next_payload = NULL,
           generation = job.generation + CASE WHEN is_dirty THEN 1 ELSE 0 END,
           attempts = CASE WHEN is_dirty THEN 0 ELSE ours.attempts END,
           losses = CASE WHEN is_dirty THEN 0 ELSE job.losses END,
           run_at = CASE WHEN is_dirty THEN coalesce(CAST(:now AS timestamptz), now())
                         WHEN ours.run_at IS NOT NULL THEN ours.run_at
                         WHEN ours.delay IS NOT NULL
                         THEN coalesce(CAST(:now AS timestamptz), now()) + make_interval(secs => ours.delay)
                         ELSE job.run_at END,
           lease_no = job.lease_no + 1,
           lease_until = NULL,
           finished_at = CASE WHEN is_dirty OR ours.state = 'PENDING' THEN NULL
                              ELSE coalesce(CAST(:now AS timestamptz), now()) END
      FROM ours
     WHERE job.id = ours.id
    RETURNING job.id
), noted AS (
    INSERT INTO job_attempt (job_id, generation, lease_no, ended_as, error_type, error, trace, started_at, ended_at)
    SELECT id, generation, lease_no, ended_as, error_type, error, trace, started_at,
           coalesce(CAST(:now AS timestamptz), now())
      FROM ours WHERE ended_as IS NOT NULL
), held_back AS (
    INSERT INTO job_hold AS hold (name, kind, reason, until)
    SELECT DISTINCT ON (hold_name) hold_name, hold_kind, reason,
           CASE hold_kind WHEN 'busy'
                THEN greatest(hold_until, coalesce(CAST(:now AS timestamptz), now())
                                          + make_interval(secs => greatest(hold_seconds, 1))) END AS until
      FROM ours WHERE hold_name IS NOT NULL
     ORDER BY hold_name, until DESC NULLS FIRST
        ON CONFLICT (name) DO UPDATE
       SET kind = excluded.kind, reason = excluded.reason, until = excluded.until, created_at = excluded.created_at
     WHERE coalesce(hold.until, 'infinity') < coalesce(excluded.until, 'infinity')
)
SELECT id FROM settled
