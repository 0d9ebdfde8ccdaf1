-- How far the outbox is published, in one row. Marking each event copied it, body and all, and wrote two of its index entries anew: a third of
-- what it had cost to write it.
CREATE TABLE "outbox_mark" (
    "only" BOOLEAN NOT NULL DEFAULT true CHECK ("only"),
    "position" BIGINT NOT NULL,
    CONSTRAINT "outbox_mark_pkey" PRIMARY KEY ("only")
);
-- What is behind the mark and to be published once more.
CREATE TABLE "outbox_again" (
    "position" BIGINT NOT NULL,
    CONSTRAINT "outbox_again_pkey" PRIMARY KEY ("position")
);

-- Nobody is writing events: whoever has a position below the mark has committed, or never will.
LOCK TABLE "outbox" IN ACCESS EXCLUSIVE MODE;
INSERT INTO "outbox_mark" ("position")
SELECT coalesce((SELECT "position" - 1 FROM "outbox" WHERE "publish_time" IS NULL ORDER BY "position" LIMIT 1), (SELECT max("position") FROM "outbox"), 0);
DROP INDEX "outbox_unpublished";
-- A relay of the version before fails without it, until one of this version takes over.
ALTER TABLE "outbox" DROP COLUMN "publish_time";

CREATE VIEW "outbox_unpublished" AS
SELECT * FROM "outbox" WHERE "position" > (SELECT "position" FROM "outbox_mark")
UNION ALL
SELECT "outbox".* FROM "outbox" JOIN "outbox_again" USING ("position") WHERE "position" <= (SELECT "position" FROM "outbox_mark");
