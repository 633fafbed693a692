-- The lead that has one of these identities; the first identity given wins.
SELECT lead_id
  FROM unnest(CAST(:kinds AS text[]), CAST(:identities AS text[])) WITH ORDINALITY AS given (kind, value, place)
  JOIN lead_identity AS known
    ON known.workspace_id = CAST(:workspace_id AS bigint) AND known.kind = given.kind AND known.value = given.value
 ORDER BY place
 LIMIT 1
