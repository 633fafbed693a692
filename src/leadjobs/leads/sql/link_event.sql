-- Say which message a kept delivery brought.
UPDATE inbox_event SET message_id = CAST(:message_id AS bigint) WHERE id = CAST(:event_id AS bigint)
