-- Keep a message, and with it the time of the lead's newest words, or of our newest message to it, which one that is
-- told of late does not turn back.  No row comes back where it is kept already.  A time in the future is taken for now.
-- The lead is locked before (find_lead.sql, or by the run), so that nobody who has the lead waits for this message.
-- By the unique index message_once, and the lead's primary key.
WITH kept AS (
    INSERT INTO message (workspace_id, lead_id, channel, direction, source, message_key, subject, body, sender,
                         recipient, consent, sent_at)
    VALUES (CAST(:workspace_id AS bigint), CAST(:lead_id AS bigint), CAST(:channel AS text), CAST(:direction AS text),
            CAST(:source AS text), CAST(:message_key AS text), CAST(:subject AS text), CAST(:body AS text),
            CAST(:sender AS text), CAST(:recipient AS text), CAST(:consent AS text),
            least(coalesce(CAST(:sent_at AS timestamptz), now()), now()))
        ON CONFLICT ON CONSTRAINT message_once DO NOTHING
    RETURNING id, lead_id, sent_at, direction = 'inbound' AND body <> '' AS is_heard, direction = 'outbound' AS is_sent
), noted AS (
    UPDATE lead
       SET last_inbound_at = CASE WHEN is_heard THEN greatest(last_inbound_at, sent_at) ELSE last_inbound_at END,
           last_outbound_at = CASE WHEN is_sent THEN greatest(last_outbound_at, sent_at) ELSE last_outbound_at END
      FROM kept
     WHERE lead.id = kept.lead_id AND (is_heard OR is_sent)
)
SELECT id FROM kept
