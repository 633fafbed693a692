-- Delete the jobs that were kept long enough in the next window of the primary key, and move the window on: no index is kept
-- for this.  A window is so many rows, whatever they are.  It begins anew after the last row, or where all of a window is
-- younger than the shortest span: ids grow with time, so what lies behind is younger still.  Without a place given, the place
-- of all runners is taken and moved; while somebody has that locked nothing is done.  Rows that somebody has locked are left
-- for the next round.  Unfinished jobs have no span, and are never touched.  Dry, it only counts.
-- moves: SUCCEEDED, FAILED, CANCELLED -> nothing: it was kept long enough
WITH kept AS MATERIALIZED (
    SELECT place FROM job_sweep
     WHERE name = 'prune' AND CAST(:place AS bigint) IS NULL
       FOR NO KEY UPDATE SKIP LOCKED
), start AS MATERIALIZED (
    SELECT place FROM kept
    UNION ALL
    SELECT CAST(:place AS bigint) WHERE CAST(:place AS bigint) IS NOT NULL
), seen AS MATERIALIZED (
    SELECT job.* FROM start CROSS JOIN LATERAL (
           SELECT id, created_at FROM background_job WHERE id > start.place
            ORDER BY id
            LIMIT CAST(:max_jobs AS integer)) AS job
), old AS MATERIALIZED (
    SELECT id, state FROM background_job
     WHERE id = ANY (ARRAY(SELECT id FROM seen))
       AND finished_at < coalesce(CAST(:now AS timestamptz), now())
                         - make_interval(secs => CAST(CAST(:seconds AS jsonb) ->> state AS double precision))
       FOR UPDATE SKIP LOCKED
), pruned AS (
    DELETE FROM background_job WHERE NOT CAST(:is_dry AS boolean) AND id = ANY (ARRAY(SELECT id FROM old))
), moved AS MATERIALIZED (
    SELECT CASE WHEN count(seen.id) < CAST(:max_jobs AS integer)
                  OR min(created_at) > coalesce(CAST(:now AS timestamptz), now())
                                       - make_interval(secs => CAST(:shortest_seconds AS double precision))
                THEN 0 ELSE max(seen.id) END AS place,
           count(seen.id) AS looked_at
      FROM start LEFT JOIN seen ON true
    HAVING count(start.place) > 0
), noted AS (
    UPDATE job_sweep
       SET place = moved.place, rounds = rounds + CASE moved.place WHEN 0 THEN 1 ELSE 0 END,
           moved_at = coalesce(CAST(:now AS timestamptz), now())
      FROM moved
     WHERE name = 'prune' AND CAST(:place AS bigint) IS NULL
)
SELECT moved.place, moved.looked_at,
       (SELECT count(*) FROM old WHERE state = 'SUCCEEDED') AS succeeded,
       (SELECT count(*) FROM old WHERE state = 'CANCELLED') AS cancelled,
       (SELECT count(*) FROM old WHERE state = 'FAILED') AS failed
  FROM moved
