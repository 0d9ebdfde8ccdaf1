CREATE TABLE "payment" (
    "payment_id" TEXT NOT NULL,
    "order_id" TEXT NOT NULL,
    "customer_id" TEXT NOT NULL,
    "amount" BIGINT NOT NULL,
    "currency" TEXT NOT NULL,
    "payment_method" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "captured" BIGINT NOT NULL DEFAULT 0,
    "refunded" BIGINT NOT NULL DEFAULT 0,
    "refund_pending" BIGINT NOT NULL DEFAULT 0,
    "provider_payment_id" TEXT NOT NULL DEFAULT '',
    "client_secret" TEXT NOT NULL DEFAULT '',
    "intent_open" BOOLEAN NOT NULL DEFAULT false,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "answered" INTEGER NOT NULL DEFAULT 0,
    "failure_code" TEXT NOT NULL DEFAULT '',
    "failure_message" TEXT NOT NULL DEFAULT '',
    "action_url" TEXT NOT NULL DEFAULT '',
    "disputed" BOOLEAN NOT NULL DEFAULT false,
    "dispute_id" TEXT NOT NULL DEFAULT '',
    "dispute_reason" TEXT NOT NULL DEFAULT '',
    "order_cancelled" BOOLEAN NOT NULL DEFAULT false,
    "due_time" TIMESTAMPTZ(3) NOT NULL,
    "version" INTEGER NOT NULL,
    "tries" INTEGER NOT NULL DEFAULT 0,
    "generation" INTEGER NOT NULL DEFAULT 0,
    "asking" BOOLEAN NOT NULL DEFAULT false,
    "next_attempt_time" TIMESTAMPTZ(3),
    "lease_until" TIMESTAMPTZ(3),
    "create_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "update_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "payment_pkey" PRIMARY KEY ("payment_id"),
    CONSTRAINT "payment_state" CHECK ("state" IN ('PENDING', 'REQUIRES_ACTION', 'PROCESSING', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
    CONSTRAINT "payment_version" CHECK ("version" >= 1),
    CONSTRAINT "payment_attempts" CHECK ("answered" >= 0 AND "answered" <= "attempts"),
    CONSTRAINT "payment_captured_once_and_whole" CHECK ("captured" = 0 OR "captured" = "amount"),
    CONSTRAINT "payment_refunded" CHECK ("refunded" >= 0 AND "refunded" <= "captured" AND "refund_pending" >= 0),
    CONSTRAINT "payment_succeeded" CHECK ("state" <> 'SUCCEEDED' OR "captured" = "amount"),
    -- Nothing that is open may be forgotten.
    CONSTRAINT "payment_deadline" CHECK (("state" IN ('SUCCEEDED', 'CANCELLED') AND NOT "intent_open" AND "refund_pending" = 0) OR "next_attempt_time" IS NOT NULL)
);
CREATE UNIQUE INDEX "payment_order_id_key" ON "payment"("order_id");
CREATE INDEX "payment_create_time_payment_id_idx" ON "payment"("create_time" DESC, "payment_id" DESC);
CREATE INDEX "payment_state_create_time_payment_id_idx" ON "payment"("state", "create_time" DESC, "payment_id" DESC);
-- An intent belongs to one payment. Also the way from a provider's record to our row.
CREATE UNIQUE INDEX "payment_provider_payment_id" ON "payment"("provider_payment_id") WHERE "provider_payment_id" <> '';
-- The runner's queue: only what is open, so that it stays small whatever the table holds.
CREATE INDEX "payment_due" ON "payment"("next_attempt_time") WHERE "next_attempt_time" IS NOT NULL;

CREATE TABLE "refund" (
    "refund_id" TEXT NOT NULL,
    "order_id" TEXT NOT NULL,
    "amount" BIGINT NOT NULL,
    "state" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "provider_refund_id" TEXT NOT NULL DEFAULT '',
    "failure_message" TEXT NOT NULL DEFAULT '',
    "create_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "update_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "refund_pkey" PRIMARY KEY ("refund_id"),
    CONSTRAINT "refund_state" CHECK ("state" IN ('PENDING', 'SUCCEEDED', 'FAILED')),
    CONSTRAINT "refund_amount" CHECK ("amount" > 0),
    CONSTRAINT "refund_order_id_fkey" FOREIGN KEY ("order_id") REFERENCES "payment"("order_id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "refund_order_id_create_time_refund_id_idx" ON "refund"("order_id", "create_time", "refund_id");
-- A refund of the provider is booked once.
CREATE UNIQUE INDEX "refund_provider_refund_id" ON "refund"("provider_refund_id") WHERE "provider_refund_id" <> '';

CREATE TABLE "webhook_event" (
    "id" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "receive_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "webhook_event_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "webhook_event_receive_time_idx" ON "webhook_event" USING BRIN ("receive_time");


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
