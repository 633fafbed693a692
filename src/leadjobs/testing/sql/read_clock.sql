-- The database's clock, read at this moment.
SELECT clock_timestamp() AS now
