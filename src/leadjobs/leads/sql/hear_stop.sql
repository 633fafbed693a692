-- Hear a request to stop with the message that makes it; one that arrives late changes nothing, nor one that was heard before,
-- nor one that they took back since.  Of a request and a welcome of one time the request stands.
-- By the primary keys, and message_by_lead.
WITH heard AS (
    UPDATE message SET sentiment = 'opted_out'
     WHERE id = CAST(:message_id AS bigint) AND sentiment IS DISTINCT FROM 'opted_out'
    RETURNING lead_id, sent_at
)
UPDATE lead
   SET opted_out_at = heard.sent_at, opted_out_why = CAST(:why AS text)
  FROM heard
 WHERE lead.id = heard.lead_id AND (opted_out_at IS NULL OR opted_out_at < heard.sent_at)
   AND NOT EXISTS (SELECT FROM message AS welcome
                    WHERE welcome.lead_id = heard.lead_id AND welcome.sent_at > heard.sent_at
                      AND welcome.consent = 'started')
