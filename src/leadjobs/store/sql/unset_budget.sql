-- Take a tenant's own cap away; that of the tenant '*' counts then, if there is one.  By the primary key.
DELETE FROM job_budget WHERE tenant = CAST(:tenant AS text) AND unit = CAST(:unit AS text) RETURNING unit
