-- Fill what is not known of a lead yet, and add identities that nobody has; what is known stays.
WITH named AS (
    INSERT INTO lead_identity (workspace_id, kind, value, lead_id)
    SELECT CAST(:workspace_id AS bigint), given.kind, given.value, CAST(:lead_id AS bigint)
      FROM unnest(CAST(:kinds AS text[]), CAST(:identities AS text[])) AS given (kind, value)
     ORDER BY given.kind, given.value
        ON CONFLICT DO NOTHING
)
UPDATE lead
   SET first_name = coalesce(first_name, CAST(:first_name AS text)),
       last_name = coalesce(last_name, CAST(:last_name AS text)),
       job_title = coalesce(job_title, CAST(:job_title AS text)),
       company = coalesce(company, CAST(:company AS text)),
       industry = coalesce(industry, CAST(:industry AS text)),
       headcount = coalesce(headcount, CAST(:headcount AS text))
 WHERE id = CAST(:lead_id AS bigint)
   AND (first_name IS NULL AND CAST(:first_name AS text) IS NOT NULL
        OR last_name IS NULL AND CAST(:last_name AS text) IS NOT NULL
        OR job_title IS NULL AND CAST(:job_title AS text) IS NOT NULL
        OR company IS NULL AND CAST(:company AS text) IS NOT NULL
        OR industry IS NULL AND CAST(:industry AS text) IS NOT NULL
        OR headcount IS NULL AND CAST(:headcount AS text) IS NOT NULL)
