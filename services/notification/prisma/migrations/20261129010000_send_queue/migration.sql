-- What is to be sent or looked up, in a narrow table of its own. In an index of the messages every change of a message's state was a change
-- of its place, so that each version of a message was written into all their indexes anew; now it is written beside the one before.
CREATE TABLE "send_queue" (
    "notification_id" TEXT NOT NULL,
    "channel" TEXT NOT NULL,
    "doubtful" BOOLEAN NOT NULL DEFAULT false,
    "due_time" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "send_queue_pkey" PRIMARY KEY ("notification_id")
);
CREATE INDEX "send_queue_channel_doubtful_due_time_idx" ON "send_queue"("channel", "doubtful", "due_time");
INSERT INTO "send_queue" SELECT "notification_id", "channel", "sending", "due_time" FROM "notification" WHERE "state" = 'pending';

DROP INDEX "notification_due";
ALTER TABLE "notification" DROP COLUMN "due_time";
-- Room on each page for what becomes of its messages: claimed, sent, delivered.
ALTER TABLE "notification" SET (fillfactor = 60);

-- By another name, so that an instance of the version before, which would leave messages where nobody looks for them any more, is refused;
-- the event that it could not handle comes to an instance of this one.
ALTER TABLE "notification" RENAME COLUMN "dedupe_key" TO "idempotency_key";
