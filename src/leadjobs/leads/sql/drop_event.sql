-- Take away a delivery that is kept under its own key now, with the same bytes.
DELETE FROM inbox_event WHERE id = CAST(:event_id AS bigint)
