-- Hold a name back, until a time or until it is let go; of two holds on one name the longer stands, and what stands is
-- returned.  The primary key serves it.
WITH put AS (
    INSERT INTO job_hold AS hold (name, kind, reason, until)
    VALUES (CAST(:name AS text), 'paused', CAST(:reason AS text),
            now() + make_interval(secs => CAST(:seconds AS double precision)))
        ON CONFLICT (name) DO UPDATE
       SET kind = excluded.kind, reason = excluded.reason, until = excluded.until, created_at = excluded.created_at
     WHERE coalesce(hold.until, 'infinity') < coalesce(excluded.until, 'infinity')
    RETURNING name, kind, reason, until, created_at
)
SELECT * FROM put
 UNION ALL
SELECT name, kind, reason, until, created_at
  FROM job_hold
 WHERE name = CAST(:name AS text) AND NOT EXISTS (SELECT FROM put)
