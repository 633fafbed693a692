-- The lead that has one of these identities, locked; the first identity given wins.
-- Locked here, before its messages, by whoever keeps some: runs that have the lead keep messages too, and in one order
-- nobody waits for one who waits for him.
SELECT known.lead_id
  FROM unnest(CAST(:kinds AS text[]), CAST(:identities AS text[])) WITH ORDINALITY AS given (kind, value, place)
  JOIN lead_identity AS known
    ON known.workspace_id = CAST(:workspace_id AS bigint) AND known.kind = given.kind AND known.value = given.value
  JOIN lead ON lead.id = known.lead_id
 ORDER BY place
 LIMIT 1
   FOR NO KEY UPDATE OF lead
