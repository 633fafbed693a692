-- The newest jobs that fit filters which may be null, with the versions that they have now (each change of a job raises its
-- lease_no or its generation).  The time of a job is that of its end, or of its addition while it has not ended.  Walks
-- background_job_failed backwards where only FAILED ones are wanted, else background_job_pending or the primary key.
SELECT id, lease_no, generation, type, tenant, state, reason, coalesce(finished_at, created_at) AS at
  FROM background_job
 WHERE state = ANY (CAST(:states AS text[]))
   AND (CAST(:type AS text) IS NULL OR type = CAST(:type AS text))
   AND (CAST(:tenant AS text) IS NULL OR tenant = CAST(:tenant AS text))
   AND (CAST(:reason_like AS text) IS NULL OR reason ILIKE CAST(:reason_like AS text))
   AND (CAST(:since AS timestamptz) IS NULL OR coalesce(finished_at, created_at) >= CAST(:since AS timestamptz))
   AND coalesce(finished_at, created_at) <= CAST(:before AS timestamptz)
 ORDER BY id DESC
 LIMIT CAST(:max_jobs AS integer)
