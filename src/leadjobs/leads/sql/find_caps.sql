-- Has a tenant a cap in one of these units, of its own or that of the tenant '*'?  A row, if so.  By the primary key.
SELECT 1 AS is_capped FROM job_budget
 WHERE tenant IN (CAST(:tenant AS text), '*') AND unit = ANY (CAST(:units AS text[]))
 LIMIT 1
