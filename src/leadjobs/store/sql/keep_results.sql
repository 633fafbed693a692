-- Keep how far runs are, and what came of them, for the owners of their jobs: only rows come back whose lease still holds, and
-- those jobs stay locked until the commit.  Rows that somebody else has locked are stepped over.  A result belongs to the
-- generation that made it; a newer one begins with neither.  The primary keys of both tables serve it.
WITH told AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS told (id bigint, lease_no integer, progress jsonb, result jsonb)
), held AS MATERIALIZED (
    SELECT id, lease_no, generation FROM background_job
     WHERE id = ANY (ARRAY(SELECT id FROM told))
     ORDER BY id
       FOR NO KEY UPDATE SKIP LOCKED
)
INSERT INTO job_result AS kept (job_id, generation, lease_no, progress, progress_at, result)
SELECT id, generation, lease_no, progress,
       CASE WHEN progress IS NOT NULL THEN coalesce(CAST(:now AS timestamptz), now()) END, result
  FROM told JOIN held USING (id, lease_no)
    ON CONFLICT (job_id) DO UPDATE
   SET generation = excluded.generation, lease_no = excluded.lease_no, result = excluded.result,
       progress = CASE WHEN excluded.progress IS NOT NULL OR kept.generation <> excluded.generation
                       THEN excluded.progress ELSE kept.progress END,
       progress_at = CASE WHEN excluded.progress IS NOT NULL OR kept.generation <> excluded.generation
                          THEN excluded.progress_at ELSE kept.progress_at END
RETURNING job_id
