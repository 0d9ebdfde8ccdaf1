-- Ids and search keys collate as bytes, so that a prefix search uses their index whatever the database's locale is.
CREATE TABLE "orders" (
    "order_id" TEXT COLLATE "C" NOT NULL,
    "placed_by" TEXT NOT NULL,
    "request_id" TEXT NOT NULL,
    "customer_id" TEXT NOT NULL,
    "customer_name" TEXT NOT NULL,
    "customer_email" TEXT NOT NULL,
    "customer_phone" TEXT NOT NULL,
    "lines" JSONB NOT NULL,
    "currency" TEXT NOT NULL,
    "total" BIGINT NOT NULL,
    "payment_method" TEXT NOT NULL,
    "shipping_address" JSONB,
    "note" TEXT NOT NULL,
    "state" TEXT NOT NULL DEFAULT 'PENDING_PAYMENT',
    "payment_state" TEXT NOT NULL DEFAULT 'UNPAID',
    "payment_version" INTEGER NOT NULL DEFAULT 0,
    "payment_status" TEXT NOT NULL DEFAULT 'PENDING',
    "captured" BIGINT NOT NULL DEFAULT 0,
    "refunded" BIGINT NOT NULL DEFAULT 0,
    "refund_pending" BIGINT NOT NULL DEFAULT 0,
    "disputed" BOOLEAN NOT NULL DEFAULT false,
    "refunds" JSONB NOT NULL DEFAULT '[]',
    "stock_committed" BOOLEAN NOT NULL DEFAULT false,
    "cancel_cause" TEXT NOT NULL DEFAULT '',
    "cancel_reason" TEXT NOT NULL DEFAULT '',
    "carrier" TEXT NOT NULL DEFAULT '',
    "tracking_number" TEXT NOT NULL DEFAULT '',
    "payment_due_time" TIMESTAMPTZ(3) NOT NULL,
    "due_time" TIMESTAMPTZ(3),
    "version" INTEGER NOT NULL DEFAULT 1,
    "create_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "update_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "email_key" TEXT COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower("customer_email")) STORED,
    "name_key" TEXT COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower("customer_name")) STORED,
    CONSTRAINT "orders_pkey" PRIMARY KEY ("order_id"),
    CONSTRAINT "orders_state" CHECK ("state" IN ('PENDING_PAYMENT', 'CONFIRMED', 'FULFILLED', 'CANCELLED')),
    CONSTRAINT "orders_payment_state" CHECK ("payment_state" IN ('UNPAID', 'PROCESSING', 'ACTION_REQUIRED', 'FAILED', 'PAID',
        'REFUND_PENDING', 'PARTIALLY_REFUNDED', 'REFUNDED', 'DISPUTED')),
    CONSTRAINT "orders_total" CHECK ("total" BETWEEN 0 AND 1000000000000),
    CONSTRAINT "orders_version" CHECK ("version" >= 1),
    CONSTRAINT "orders_cancelled_for_a_cause" CHECK (("state" = 'CANCELLED') = ("cancel_cause" <> '')),
    CONSTRAINT "orders_paid_before_confirmed" CHECK ("state" NOT IN ('CONFIRMED', 'FULFILLED') OR "captured" >= "total"),
    CONSTRAINT "orders_sold_before_fulfilled" CHECK ("state" <> 'FULFILLED' OR "stock_committed")
)
-- Orders are updated a few times after they were placed: room on the page lets most of it stay in place.
WITH (fillfactor = 80);
CREATE UNIQUE INDEX "orders_placed_by_request_id_key" ON "orders"("placed_by", "request_id");
CREATE INDEX "orders_create_time_order_id_idx" ON "orders"("create_time" DESC, "order_id" DESC);
CREATE INDEX "orders_customer_id_create_time_order_id_idx" ON "orders"("customer_id", "create_time" DESC, "order_id" DESC);
CREATE INDEX "orders_email_key_idx" ON "orders"("email_key");
CREATE INDEX "orders_name_key_idx" ON "orders"("name_key");
-- The expiry runner's queue, and the list of stuck orders.
CREATE INDEX "orders_unpaid" ON "orders"("payment_due_time") WHERE "state" = 'PENDING_PAYMENT';
CREATE INDEX "orders_due" ON "orders"("due_time", "order_id") WHERE "due_time" IS NOT NULL;

-- No foreign key: its check would take locks on orders that the handlers of events don't need.
CREATE TABLE "timeline" (
    "position" BIGSERIAL NOT NULL,
    "order_id" TEXT COLLATE "C" NOT NULL,
    "time" TIMESTAMPTZ(3) NOT NULL,
    "source" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "summary" TEXT NOT NULL,
    "event_id" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "detail" JSONB NOT NULL,
    CONSTRAINT "timeline_pkey" PRIMARY KEY ("position")
);
CREATE INDEX "timeline_order_id_time_idx" ON "timeline"("order_id", "time");


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
