-- Until the end of this transaction nobody else starts or resumes a backfill.
SELECT pg_advisory_xact_lock(CAST(CAST('scoring_backfill' AS regclass) AS bigint))
