-- Nothing looks an event up by its id: whoever publishes goes by position, and repeats are noticed by the broker and the inboxes.
-- Every event was written into this index twice, when it was said and when it was marked as published.
DROP INDEX "outbox_event_id_key";
