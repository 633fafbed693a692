-- Which of these leases have ended without us: somebody cancelled the job, or took it back.
SELECT mine.id, mine.lease_no
  FROM unnest(CAST(:ids AS bigint[]), CAST(:lease_nos AS integer[])) AS mine (id, lease_no)
  LEFT JOIN background_job AS job ON job.id = mine.id
 WHERE job.lease_no IS DISTINCT FROM mine.lease_no
