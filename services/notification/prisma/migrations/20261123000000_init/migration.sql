CREATE TABLE "notification" (
    "notification_id" TEXT NOT NULL,
    "dedupe_key" TEXT NOT NULL,
    "order_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "channel" TEXT NOT NULL,
    "recipient" TEXT NOT NULL,
    "subject" TEXT NOT NULL DEFAULT '',
    "details" JSONB NOT NULL,
    "state" TEXT NOT NULL DEFAULT 'pending',
    "version" INTEGER NOT NULL DEFAULT 1,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "sending" BOOLEAN NOT NULL DEFAULT false,
    "sending_time" TIMESTAMPTZ(3),
    "resend_time" TIMESTAMPTZ(3),
    "due_time" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "provider_message_id" TEXT NOT NULL DEFAULT '',
    "last_error" TEXT NOT NULL DEFAULT '',
    "create_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "send_time" TIMESTAMPTZ(3),
    CONSTRAINT "notification_pkey" PRIMARY KEY ("notification_id"),
    CONSTRAINT "notification_kind" CHECK ("kind" IN ('order_confirmation', 'payment_confirmation', 'payment_failed', 'payment_action_required', 'order_cancelled', 'order_fulfilled', 'refund', 'low_stock', 'operator_alert')),
    CONSTRAINT "notification_channel" CHECK ("channel" IN ('email', 'sms')),
    CONSTRAINT "notification_state" CHECK ("state" IN ('pending', 'sent', 'delivered', 'bounced', 'failed', 'suppressed')),
    CONSTRAINT "notification_counts" CHECK ("attempts" >= 0 AND "version" >= 1),
    -- Only what is to be sent can be under way.
    CONSTRAINT "notification_sending" CHECK (NOT "sending" OR ("state" = 'pending' AND "sending_time" IS NOT NULL AND "resend_time" IS NOT NULL)),
    CONSTRAINT "notification_sent" CHECK ("state" NOT IN ('sent', 'delivered', 'bounced') OR "send_time" IS NOT NULL)
);
-- One message per order, kind and channel.
CREATE UNIQUE INDEX "notification_dedupe_key_key" ON "notification"("dedupe_key");
CREATE INDEX "notification_order_id_idx" ON "notification"("order_id");
CREATE INDEX "notification_recipient_create_time_notification_id_idx" ON "notification"("recipient", "create_time", "notification_id");
CREATE INDEX "notification_create_time_notification_id_idx" ON "notification"("create_time", "notification_id");
-- The queues of mails and text messages, to be sent or to be looked up: only what is pending, so that they stay small whatever the table holds.
CREATE INDEX "notification_due" ON "notification"("channel", "sending", "due_time") WHERE "state" = 'pending';

CREATE TABLE "contact" (
    "order_id" TEXT NOT NULL,
    "customer_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "phone" TEXT NOT NULL,
    "lines" JSONB,
    "total" BIGINT,
    "currency" TEXT NOT NULL DEFAULT '',
    "create_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "contact_pkey" PRIMARY KEY ("order_id")
);

CREATE TABLE "preferences" (
    "customer_id" TEXT NOT NULL,
    "email_enabled" BOOLEAN NOT NULL,
    "sms_enabled" BOOLEAN NOT NULL,
    "locale" TEXT NOT NULL,
    "update_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "preferences_pkey" PRIMARY KEY ("customer_id")
);


-- What the chassis stands on: the same five times.
CREATE TABLE "outbox" (
    "position" BIGSERIAL NOT NULL,
    "event_id" UUID NOT NULL,
    "subject" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "aggregate_id" TEXT NOT NULL,
    "aggregate_version" INTEGER NOT NULL,
    "body" TEXT NOT NULL,
    "traceparent" TEXT,
    "create_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "publish_time" TIMESTAMPTZ(3),
    CONSTRAINT "outbox_pkey" PRIMARY KEY ("position")
);
CREATE UNIQUE INDEX "outbox_event_id_key" ON "outbox"("event_id");
CREATE INDEX "outbox_create_time_idx" ON "outbox" USING BRIN ("create_time");
-- The relay's queue: only what is not published yet, so that it stays small whatever the table holds.
CREATE INDEX "outbox_unpublished" ON "outbox"("position") WHERE "publish_time" IS NULL;

CREATE TABLE "inbox" (
    "event_id" UUID NOT NULL,
    "handle_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "inbox_pkey" PRIMARY KEY ("event_id")
);
CREATE INDEX "inbox_handle_time_idx" ON "inbox" USING BRIN ("handle_time");

CREATE TABLE "dead_letter" (
    "dead_letter_id" UUID NOT NULL,
    "stream" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "stream_sequence" BIGINT NOT NULL,
    "event_id" TEXT NOT NULL,
    "event_type" TEXT NOT NULL,
    "deliveries" INTEGER NOT NULL,
    "cause" TEXT NOT NULL,
    "stack" TEXT NOT NULL,
    "headers" JSONB NOT NULL,
    "body" BYTEA NOT NULL,
    "state" INTEGER NOT NULL DEFAULT 1,
    "create_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "resolve_time" TIMESTAMPTZ(3),
    "resolved_by" TEXT NOT NULL DEFAULT '',
    "note" TEXT NOT NULL DEFAULT '',
    CONSTRAINT "dead_letter_pkey" PRIMARY KEY ("dead_letter_id")
);
CREATE UNIQUE INDEX "dead_letter_stream_stream_sequence_key" ON "dead_letter"("stream", "stream_sequence");
CREATE INDEX "dead_letter_state_create_time_idx" ON "dead_letter"("state", "create_time");

CREATE TABLE "request_memory" (
    "method" TEXT NOT NULL,
    "caller" TEXT NOT NULL,
    "request_id" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "response" BYTEA,
    "create_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "request_memory_pkey" PRIMARY KEY ("method", "caller", "request_id")
);
CREATE INDEX "request_memory_create_time_idx" ON "request_memory" USING BRIN ("create_time");
