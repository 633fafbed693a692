-- Keep a message; no row comes back where it is kept already.  A time in the future is taken for now.
INSERT INTO message (workspace_id, lead_id, channel, direction, source, message_key, subject, body, sender, recipient,
                     consent, sent_at)
VALUES (CAST(:workspace_id AS bigint), CAST(:lead_id AS bigint), CAST(:channel AS text), CAST(:direction AS text),
        CAST(:source AS text), CAST(:message_key AS text), CAST(:subject AS text), CAST(:body AS text),
        CAST(:sender AS text), CAST(:recipient AS text), CAST(:consent AS text),
        least(coalesce(CAST(:sent_at AS timestamptz), now()), now()))
    ON CONFLICT ON CONSTRAINT message_once DO NOTHING
RETURNING id, lead_id, sent_at
