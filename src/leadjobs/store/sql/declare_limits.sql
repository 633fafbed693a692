-- Make the rows of limits that a runner is about to lock, and keep what it declares: in one order for all runners, giving
-- up soon where one is held, and touching nothing where nothing is new.
INSERT INTO job_limit AS known (name, types, tenant, max_running, rate)
SELECT name, types, tenant, max_running, rate
  FROM jsonb_to_recordset(CAST(:limits AS jsonb))
    AS mine (name text, types text[], tenant text, max_running integer, rate double precision)
 WHERE set_config('lock_timeout', '2s', true) <> ''
   AND NOT EXISTS (
       SELECT FROM job_limit AS same
        WHERE same.name = mine.name AND same.types @> mine.types
          AND (same.max_running, same.rate) IS NOT DISTINCT FROM (mine.max_running, mine.rate))
 ORDER BY name
    ON CONFLICT (name) DO UPDATE
   SET types = ARRAY(SELECT DISTINCT type FROM unnest(known.types || excluded.types) AS type ORDER BY type),
       max_running = excluded.max_running, rate = excluded.rate, noted_at = now()
