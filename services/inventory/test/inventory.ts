// An inventory on a database of its own, without a server: for tests of what is stored.
import { randomUUID } from 'node:crypto';
import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { openDatabase, sql, type Database } from '@millrace/chassis/database/db';
import { handleOnce, type Heard } from '@millrace/chassis/events/inbox';
import { createChanges } from '@millrace/chassis/flow/changes';
import { createReader } from '@millrace/chassis/flow/reader';
import { createLog } from '@millrace/chassis/telemetry/log';
import type { Message } from '@bufbuild/protobuf';
import { ProductCreatedSchema } from '@millrace/gen/millrace/product/v1/events_pb.js';
import { createDatabase } from '../../../test/support/servers.ts';
import { createChange } from '../src/change.ts';
import { inventoryReactions } from '../src/events.ts';
import { expireHolds } from '../src/expire-holds.ts';
import { createLevels } from '../src/levels.ts';
import { createReserveStock } from '../src/reserve-stock.ts';
import { loadLevels } from '../src/store.ts';

export const log = createLog('test', 'silent');

/** One instance of the service's insides; several may share a database. */
export function openInstance(url: string) {
  const db = openDatabase(url, log);
  const changes = createChanges();
  const levels = createLevels();
  const change = createChange(changes, levels);
  const reactions = new Map(inventoryReactions(change).map((reaction) => [reaction.schema.typeName, reaction]));
  return {
    db, change, changes,
    readLevel: createReader('test', (skus) => loadLevels(db, skus)),
    reserveStock: createReserveStock({ db, change, levels, changes }),
    expiry: expireHolds(db, log, change),
    /** Hears events as the consumer does: in one transaction. */
    hear: (...events: Heard<Message>[]) => db.transaction((tx) => handleOnce(tx, events, reactions)),
  };
}

export type Instance = ReturnType<typeof openInstance>;

export async function openInventory() {
  const database = await createDatabase('inventory');
  const instance = openInstance(database.url);
  const close = async () => {
    await instance.db.close();
    await database.drop();
  };
  return { ...instance, url: database.url, [Symbol.asyncDispose]: close };
}

export function heard<D extends DescMessage>(schema: D, body: MessageInitShape<D>, id: string = randomUUID()): Heard<Message> {
  return { id, type: schema.typeName, time: new Date(), version: 1, body: create(schema, body) };
}

export function created(sku: string, initialStock: number, lowStockThreshold = 0): Heard<Message> {
  return heard(ProductCreatedSchema, { sku, version: 1, name: `name of ${sku}`, initialStock, lowStockThreshold });
}

export async function levels(db: Database, ...skus: string[]): Promise<Record<string, [onHand: number, reserved: number]>> {
  return Object.fromEntries([...(await loadLevels(db, skus)).values()].map(({ sku, onHand, reserved }) => [sku, [onHand, reserved]]));
}

/** Subjects of the events said so far, in order, without those in `but`. */
export async function said(db: Database, but = 'inventory.stock_changed'): Promise<string[]> {
  const rows = await db.query<{ subject: string }>(sql`SELECT subject FROM outbox ORDER BY position`);
  return rows.map(({ subject }) => subject).filter((subject) => !subject.startsWith(but));
}

/** Throws when a ledger does not add up to its level, or the holds don't to what is reserved. */
export async function mustBalance(db: Database): Promise<void> {
  const wrong = await db.query(sql`
    SELECT sku, on_hand, reserved, booked.on_hand_sum, booked.reserved_sum, held.units FROM stock
    LEFT JOIN (SELECT sku, sum(on_hand_delta) AS on_hand_sum, sum(reserved_delta) AS reserved_sum FROM movement GROUP BY sku) AS booked USING (sku)
    LEFT JOIN (SELECT line ->> 'sku' AS sku, sum((line ->> 'quantity')::int) AS units
      FROM reservation, jsonb_array_elements(lines) AS line WHERE state = 'HELD' GROUP BY 1) AS held USING (sku)
    WHERE on_hand <> coalesce(on_hand_sum, 0) OR reserved <> coalesce(reserved_sum, 0) OR reserved <> coalesce(units, 0)`);
  if (wrong.length > 0) throw new Error(`unbalanced: ${JSON.stringify(wrong, (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))}`);
}
