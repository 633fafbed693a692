-- Move each rate's clock on by the jobs that were started under it: from now, not from when the wait for its lock began.
UPDATE job_limit AS held
   SET free_at = greatest(held.free_at, coalesce(CAST(:now AS timestamptz), statement_timestamp()))
                 + make_interval(secs => started.seconds)
  FROM unnest(CAST(:names AS text[]), CAST(:seconds AS double precision[])) AS started (name, seconds)
 WHERE held.name = started.name
