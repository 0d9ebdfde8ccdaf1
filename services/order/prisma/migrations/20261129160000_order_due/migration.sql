-- When waiting orders should have moved, in a narrow table of its own. In indexes of the orders every step of an order was a change of its place,
-- so that each version of an order was written into all eight indexes anew; now it is written beside the one before.
CREATE TABLE "order_due" (
    "unpaid" BOOLEAN NOT NULL,
    "due_time" TIMESTAMPTZ(3) NOT NULL,
    "order_id" TEXT COLLATE "C" NOT NULL,
    CONSTRAINT "order_due_pkey" PRIMARY KEY ("unpaid", "due_time", "order_id")
);
INSERT INTO "order_due" SELECT "state" = 'PENDING_PAYMENT', "due_time", "order_id" FROM "orders" WHERE "due_time" IS NOT NULL;
DROP INDEX "orders_due";
DROP INDEX "orders_unpaid";
-- Room on each page for what becomes of its orders: paid, sold.
ALTER TABLE "orders" SET (fillfactor = 50);
-- By another name, so that an instance of the version before, whose orders nobody would find when they are due, is refused;
-- its callers repeat their requests at one of this version.
ALTER TABLE "orders" RENAME COLUMN "due_time" TO "next_due_time";

-- One index instead of two: whoever reads a timeline reads an order's, by time.
ALTER TABLE "timeline" DROP CONSTRAINT "timeline_pkey", ADD CONSTRAINT "timeline_pkey" PRIMARY KEY ("order_id", "time", "position");
DROP INDEX "timeline_order_id_time_idx";
