-- Make the rows of limits that a runner is about to lock, and keep what it declares: in one order for all runners, and
-- without a write where nothing is new.
INSERT INTO job_limit AS known (name, types, tenant, max_running, rate)
SELECT name, types, tenant, max_running, rate
  FROM jsonb_to_recordset(CAST(:limits AS jsonb))
    AS mine (name text, types text[], tenant text, max_running integer, rate double precision)
 ORDER BY name
    ON CONFLICT (name) DO UPDATE
   SET types = ARRAY(SELECT DISTINCT type FROM unnest(known.types || excluded.types) AS type ORDER BY type),
       max_running = excluded.max_running, rate = excluded.rate, noted_at = now()
 WHERE NOT known.types @> excluded.types
    OR (known.max_running, known.rate) IS DISTINCT FROM (excluded.max_running, excluded.rate)
