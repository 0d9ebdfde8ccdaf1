-- Skus and order ids in byte order, so that pages and lock order are the same whatever the database's locale.
CREATE TABLE "stock" (
    "sku" TEXT COLLATE "C" NOT NULL,
    "name" TEXT NOT NULL DEFAULT '',
    "on_hand" INTEGER NOT NULL DEFAULT 0,
    "reserved" INTEGER NOT NULL DEFAULT 0 CHECK ("reserved" >= 0),
    "threshold" INTEGER NOT NULL DEFAULT 0 CHECK ("threshold" >= 0),
    "low" BOOLEAN NOT NULL DEFAULT false,
    "discontinued" BOOLEAN NOT NULL DEFAULT false,
    "opened" BOOLEAN NOT NULL DEFAULT false,
    "product_version" INTEGER NOT NULL DEFAULT 0,
    "version" INTEGER NOT NULL DEFAULT 0 CHECK ("version" >= 0),
    "create_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "update_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "stock_pkey" PRIMARY KEY ("sku"),
    CONSTRAINT "stock_not_oversold" CHECK ("on_hand" >= "reserved"),
    CONSTRAINT "stock_unopened_is_empty" CHECK ("opened" OR "on_hand" = 0)
) WITH (fillfactor = 50); -- a hot row is rewritten all the time: room on its page keeps its indexes out of it
CREATE INDEX "stock_low" ON "stock"("sku") WHERE "low";

CREATE TABLE "reservation" (
    "order_id" TEXT COLLATE "C" NOT NULL,
    "state" TEXT NOT NULL CHECK ("state" IN ('HELD', 'COMMITTED', 'RELEASED', 'RESTOCKED')),
    "lines" JSONB NOT NULL,
    "hold_until" TIMESTAMPTZ(3) NOT NULL,
    "release_reason" TEXT NOT NULL CHECK ("release_reason" IN ('', 'EXPIRED', 'ORDER_CANCELLED', 'REQUESTED', 'SHORTFALL')),
    "returns" JSONB NOT NULL,
    "version" INTEGER NOT NULL CHECK ("version" >= 1),
    "create_time" TIMESTAMPTZ(3) NOT NULL,
    "update_time" TIMESTAMPTZ(3) NOT NULL,
    CONSTRAINT "reservation_pkey" PRIMARY KEY ("order_id"),
    CONSTRAINT "reservation_released_with_reason" CHECK (("state" = 'RELEASED') = ("release_reason" <> ''))
);
-- The holds by their deadline, and nothing else: it stays small whatever the table holds.
CREATE INDEX "reservation_due" ON "reservation"("hold_until") WHERE "state" = 'HELD';

CREATE TABLE "movement" (
    "movement_id" BIGSERIAL NOT NULL,
    "sku" TEXT COLLATE "C" NOT NULL,
    "kind" TEXT NOT NULL CHECK ("kind" IN ('OPENED', 'ADJUSTED', 'HELD', 'RELEASED', 'COMMITTED', 'RESTOCKED')),
    "on_hand_delta" INTEGER NOT NULL,
    "reserved_delta" INTEGER NOT NULL,
    "order_id" TEXT COLLATE "C" NOT NULL,
    "reason" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "create_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "movement_pkey" PRIMARY KEY ("movement_id")
);
CREATE INDEX "movement_sku_movement_id_idx" ON "movement"("sku", "movement_id");
CREATE INDEX "movement_order_id_movement_id_idx" ON "movement"("order_id", "movement_id");

-- A ledger that can be changed proves nothing. Not a grant: the service owns its tables.
CREATE FUNCTION "refuse_ledger_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the stock ledger is append only' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER "movement_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "movement" FOR EACH STATEMENT EXECUTE FUNCTION "refuse_ledger_change"();


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
