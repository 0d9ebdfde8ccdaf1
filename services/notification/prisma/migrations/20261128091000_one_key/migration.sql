-- A message's id is made of its dedupe key, so the primary key alone refuses a second one. Each message was written into this index four times.
DROP INDEX "notification_dedupe_key_key";
