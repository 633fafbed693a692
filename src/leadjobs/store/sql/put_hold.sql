-- Hold a name back, until a time or until it is let go; of two holds on one name the longer stands, and what stands is
-- returned.  The primary key serves it.
INSERT INTO job_hold AS hold (name, kind, reason, until)
VALUES (CAST(:name AS text), 'paused', CAST(:reason AS text),
        now() + make_interval(secs => CAST(:seconds AS double precision)))
    ON CONFLICT (name) DO UPDATE
   SET (kind, reason, until, created_at) = (
           SELECT longer.kind, longer.reason, longer.until, longer.created_at
             FROM (VALUES (hold.kind, hold.reason, hold.until, hold.created_at, 1),
                          (excluded.kind, excluded.reason, excluded.until, excluded.created_at, 2))
                  AS longer (kind, reason, until, created_at, turn)
            ORDER BY coalesce(longer.until, 'infinity') DESC, longer.turn LIMIT 1)
RETURNING name, kind, reason, until, created_at
