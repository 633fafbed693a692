-- The time of our newest message to a lead; one that is told of late does not turn it back.
UPDATE lead SET last_outbound_at = CAST(:sent_at AS timestamptz)
 WHERE id = CAST(:lead_id AS bigint) AND (last_outbound_at IS NULL OR last_outbound_at < CAST(:sent_at AS timestamptz))
