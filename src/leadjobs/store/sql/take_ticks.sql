-- Move schedules on to these ticks, for whoever comes first: a name comes back only where its tick is newer than all before
-- it, and its row is locked until the commit, by which a job must stand for the tick.  What somebody has locked is stepped
-- over: that tick is his.  The primary key serves it.
UPDATE job_schedule AS schedule
   SET last_tick = due.tick
  FROM unnest(CAST(:names AS text[]), CAST(:ticks AS timestamptz[])) AS due (name, tick)
 WHERE schedule.name = ANY (ARRAY(
       SELECT name FROM job_schedule WHERE name = ANY (CAST(:names AS text[]))
        ORDER BY name
          FOR NO KEY UPDATE SKIP LOCKED))
   AND schedule.name = due.name
   AND schedule.paused_at IS NULL
   AND due.tick > greatest(schedule.since, schedule.last_tick)
RETURNING schedule.name
