-- Keep what an outside service found about a lead, and say in its kept delivery whose it was.  Blanks of the lead are
-- filled, what is known stays; is_filled says whether any was.  An answer that brought something is not taken back by a
-- later one.  A request id that nobody asked under changes nothing but the delivery.
-- By the unique index enrichment_request_id_key.
WITH answered AS (
    UPDATE enrichment
       SET status = CASE WHEN status = 'found' THEN status ELSE CAST(:status AS text) END,
           error = CASE WHEN status <> 'found' AND CAST(:status AS text) = 'failed' THEN 'it says that it failed' END,
           answered_at = coalesce(answered_at, now())
     WHERE request_id = CAST(:request_id AS text)
    RETURNING lead_id, message_id
), known AS (
    SELECT lead.id, lead.workspace_id, answered.message_id
      FROM answered JOIN lead ON lead.id = answered.lead_id
), filled AS (
    UPDATE lead
       SET job_title = coalesce(job_title, CAST(:job_title AS text)),
           company = coalesce(company, CAST(:company AS text)),
           industry = coalesce(industry, CAST(:industry AS text)),
           headcount = coalesce(headcount, CAST(:headcount AS text))
      FROM known
     WHERE lead.id = known.id
       AND (job_title IS NULL AND CAST(:job_title AS text) IS NOT NULL
            OR company IS NULL AND CAST(:company AS text) IS NOT NULL
            OR industry IS NULL AND CAST(:industry AS text) IS NOT NULL
            OR headcount IS NULL AND CAST(:headcount AS text) IS NOT NULL)
    RETURNING lead.id
), noted AS (
    INSERT INTO lead_fact (lead_id, message_id, kind, value, origin)
    SELECT known.id, known.message_id, given.kind, given.value, CAST(:origin AS text)
      FROM known, unnest(CAST(:kinds AS text[]), CAST(:facts AS text[])) AS given (kind, value)
     ORDER BY given.kind, given.value
        ON CONFLICT ON CONSTRAINT lead_fact_once DO NOTHING
), told AS (
    UPDATE inbox_event
       SET workspace_id = (SELECT workspace_id FROM known),
           what = CASE WHEN EXISTS (SELECT FROM known) THEN what ELSE 'ignored: nobody asked under this request id' END
     WHERE id = CAST(:event_id AS bigint)
    RETURNING what
)
SELECT told.what, known.workspace_id, known.id AS lead_id, known.message_id, EXISTS (SELECT FROM filled) AS is_filled
  FROM told LEFT JOIN known ON true
