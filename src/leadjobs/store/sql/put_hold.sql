-- Hold a name back, until a time or until it is let go; whatever held it before is replaced.
INSERT INTO job_hold (name, kind, reason, until)
VALUES (CAST(:name AS text), 'paused', CAST(:reason AS text),
        now() + make_interval(secs => CAST(:seconds AS double precision)))
    ON CONFLICT (name) DO UPDATE
   SET kind = excluded.kind, reason = excluded.reason, until = excluded.until, created_at = excluded.created_at
RETURNING name, kind, reason, until, created_at
