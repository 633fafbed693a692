-- How many transactions on this database have written something and are neither committed nor rolled back.
SELECT count(*) AS open
  FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL
