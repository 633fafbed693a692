-- The time of a lead's newest words; some that are told of late do not turn it back.
UPDATE lead SET last_inbound_at = CAST(:sent_at AS timestamptz)
 WHERE id = CAST(:lead_id AS bigint) AND (last_inbound_at IS NULL OR last_inbound_at < CAST(:sent_at AS timestamptz))
