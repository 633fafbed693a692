-- Effects, the newest job's first: all, one job's, or those that nobody knows the end of.  is_unknown: no answer has come, and
-- the run that might still tell owns the job no more.  By the primary key, or job_effect_unanswered.
SELECT effect.job_id, effect.generation, effect.name, effect.tag, effect.state, effect.receipt, effect.told_by,
       effect.intended_at, effect.answered_at, job.type, job.tenant, job.state AS job_state,
       effect.state = 'intended' AND effect.lease_no <> job.lease_no AS is_unknown
  FROM job_effect AS effect
  JOIN background_job AS job ON job.id = effect.job_id
 WHERE (CAST(:job_id AS bigint) IS NULL OR effect.job_id = CAST(:job_id AS bigint))
   AND (NOT CAST(:only_unknown AS boolean) OR effect.state = 'intended' AND effect.lease_no <> job.lease_no)
 ORDER BY effect.job_id DESC, effect.generation DESC, effect.intended_at DESC, effect.name
 LIMIT CAST(:max_effects AS integer)
