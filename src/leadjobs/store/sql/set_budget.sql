-- Set what a tenant may spend of a unit in a day.  By the primary key.
INSERT INTO job_budget AS budget (tenant, unit, cap_per_day)
VALUES (CAST(:tenant AS text), CAST(:unit AS text), CAST(:cap AS bigint))
    ON CONFLICT (tenant, unit) DO UPDATE
   SET cap_per_day = excluded.cap_per_day, set_at = now()
