-- What time it is.  Touches no table.
SELECT coalesce(CAST(:now AS timestamptz), now()) AS now
