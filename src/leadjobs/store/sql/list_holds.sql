-- The holds that are on, and those on some names alone where names are given; what waits behind each is not counted.
SELECT name, kind, reason, until, created_at
  FROM job_hold
 WHERE (until IS NULL OR until > coalesce(CAST(:now AS timestamptz), now()))
   AND (CAST(:names AS text[]) IS NULL OR name = ANY (CAST(:names AS text[])))
 ORDER BY name
