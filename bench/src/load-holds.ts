// Inventory's way of holding stock, without an RPC before it: what its statement makes of many buyers, beside an update for each of them.
import { randomUUID } from 'node:crypto';
import { type Database, openDatabase, sql } from '@millrace/chassis/database/db';
import { createChanges } from '@millrace/chassis/flow/changes';
import { createLog } from '@millrace/chassis/telemetry/log';
import { createChange } from '../../services/inventory/src/change.ts';
import { createLevels } from '../../services/inventory/src/levels.ts';
import { createReserveStock } from '../../services/inventory/src/reserve-stock.ts';
import { type LimitTask, openHotStock } from './limits.ts';
import { type Load, closedLoop } from './load.ts';

/** As many buyers as `clients`, each with the next wish when it has its hold; the service itself puts together who waits at once. */
export async function runHolds({ url, clients, ms }: LimitTask): Promise<Load> {
  const sku = await openHotStock(url);
  const db = openDatabase(url, createLog('bench', 'error'));
  const [changes, levels] = [createChanges(), createLevels()];
  const reserve = createReserveStock({ db, change: createChange(changes, levels), levels, changes });
  const buy = () => reserve({ orderId: randomUUID(), lines: [{ sku, quantity: 1 }], actor: 'bench' });
  const before = await heldBy(db, sku);
  const load = await closedLoop({ clients, ms }, buy);
  const held = (await heldBy(db, sku)) - before;
  await db.close();
  if (held !== load.done) throw new Error(`${load.done} holds were answered and ${held} units are reserved`);
  return load;
}

async function heldBy(db: Database, sku: string): Promise<number> {
  const [stock] = await db.query<{ reserved: number }>(sql`SELECT reserved FROM stock WHERE sku = ${sku}`);
  if (stock === undefined) throw new Error(`there is no stock of ${sku}`);
  return stock.reserved;
}
