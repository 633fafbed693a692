-- The transaction that a fence before this has locked a row in; none in autocommit mode, where the lock is gone again.
SELECT 1 AS is_open WHERE pg_current_xact_id_if_assigned() IS NOT NULL
