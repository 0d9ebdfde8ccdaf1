-- Part of every Postgres distribution, and trusted: the owner of the database may create it.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE "product" (
    -- Byte order, so that pages and lock order are the same whatever the database's locale.
    "sku" TEXT COLLATE "C" NOT NULL CHECK ("sku" ~ '^[A-Za-z0-9._-]{1,64}$'),
    "name" TEXT NOT NULL CHECK ("name" <> ''),
    "description" TEXT NOT NULL,
    "currency_code" TEXT NOT NULL CHECK ("currency_code" ~ '^[A-Z]{3}$'),
    "minor_units" BIGINT NOT NULL CHECK ("minor_units" >= 0),
    "attributes" JSONB NOT NULL,
    "image_url" TEXT NOT NULL,
    "state" TEXT NOT NULL CHECK ("state" IN ('ACTIVE', 'ARCHIVED')),
    "revision" INTEGER NOT NULL CHECK ("revision" >= 1),
    "create_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "update_time" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "product_pkey" PRIMARY KEY ("sku")
);
-- Finds words in the middle of words.
CREATE INDEX "product_search" ON "product" USING GIN ("sku" gin_trgm_ops, "name" gin_trgm_ops, "description" gin_trgm_ops);


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
