-- Take back a lead that was added in this transaction in vain.
DELETE FROM lead WHERE id = CAST(:lead_id AS bigint)
