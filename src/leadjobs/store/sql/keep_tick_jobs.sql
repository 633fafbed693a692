-- Remember which jobs stand for the ticks that were just taken.  The primary key serves it.
UPDATE job_schedule AS schedule
   SET last_job_id = added.job_id
  FROM unnest(CAST(:names AS text[]), CAST(:job_ids AS bigint[])) AS added (name, job_id)
 WHERE schedule.name = ANY (CAST(:names AS text[])) AND schedule.name = added.name
