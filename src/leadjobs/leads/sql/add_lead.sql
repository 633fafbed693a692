-- A new lead with its identities, taken in one order by everybody.  Fewer identities than given come back where somebody
-- else has one of them, perhaps since a moment ago: then this lead must go (drop_lead.sql) and theirs be found.
WITH added AS (
    INSERT INTO lead (workspace_id, first_name, last_name, job_title, company, industry, headcount)
    VALUES (CAST(:workspace_id AS bigint), CAST(:first_name AS text), CAST(:last_name AS text),
            CAST(:job_title AS text), CAST(:company AS text), CAST(:industry AS text), CAST(:headcount AS text))
    RETURNING id
), named AS (
    INSERT INTO lead_identity (workspace_id, kind, value, lead_id)
    SELECT CAST(:workspace_id AS bigint), given.kind, given.value, added.id
      FROM added, unnest(CAST(:kinds AS text[]), CAST(:identities AS text[])) AS given (kind, value)
     ORDER BY given.kind, given.value
        ON CONFLICT DO NOTHING
    RETURNING kind
)
SELECT added.id AS lead_id, (SELECT count(*) FROM named) AS identities FROM added
