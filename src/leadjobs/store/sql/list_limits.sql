-- Limits as runners last declared them, what runs under each, and in how many seconds its rate is as if nothing had started;
-- those of some names alone where names are given.  Index: background_job_running.
SELECT held.name, held.types, held.tenant, held.max_running, held.rate, running.jobs AS running,
       greatest(0, extract(epoch FROM nullif(free_at, '-infinity') - coalesce(CAST(:now AS timestamptz), now()))) AS free_in
  FROM job_limit AS held
 CROSS JOIN LATERAL (
       SELECT count(*) AS jobs FROM background_job
        WHERE state = 'RUNNING' AND type = ANY (held.types) AND (held.tenant IS NULL OR tenant = held.tenant)) AS running
 WHERE CAST(:names AS text[]) IS NULL OR held.name = ANY (CAST(:names AS text[]))
 ORDER BY held.name
 LIMIT 1000
