// A made-up article, delivered once and held again and again as every other one is, and all of it undone: so the first real hold finds the way known.
import { randomUUID } from 'node:crypto';
import type { Database, Tx } from '@millrace/chassis/database/db';
import { undone, warmUp } from '@millrace/chassis/warm-up';
import { Books } from './books.ts';
import { productCreated } from './facts.ts';
import { eventsOf } from './notices.ts';
import { decide } from './reserve-stock.ts';
import type { Stock } from './stock.ts';
import { lockStock, makeRecords, save, saveHolds } from './store.ts';

/** Holds before the service says that it is ready: the first ones cost many times what the later ones do. */
const ROUNDS = 200;
const ACTOR = 'inventory';

export async function practise(db: Database): Promise<void> {
  await undone(db, async (tx) => {
    let known = await deliver(tx, db.clock.now());
    await warmUp(ROUNDS, async () => void (known = await hold(tx, known, db.clock.now())));
  });
}

async function deliver(tx: Tx, now: Date): Promise<Stock[]> {
  // No product can have it, and no other instance that practises.
  const sku = ` ${randomUUID()}`;
  await makeRecords(tx, [sku]);
  const books = new Books(now, await lockStock(tx, [sku]), []);
  productCreated(books, { sku, version: 1, name: 'Practice', initialStock: ROUNDS, lowStockThreshold: 0 }, { reason: '', actor: ACTOR });
  const closing = books.close();
  await save(tx, closing);
  return closing.stocks.map(({ stock }) => stock);
}

/** Answers the levels after it. */
async function hold(tx: Tx, known: Stock[], now: Date): Promise<Stock[]> {
  const books = new Books(now, known, []);
  decide(books, [{ wish: { orderId: randomUUID(), lines: known.map(({ sku }) => ({ sku, quantity: 1 })), actor: ACTOR } }]);
  const closing = books.close();
  await saveHolds(tx, known, closing, eventsOf(closing));
  return closing.stocks.map(({ stock }) => stock);
}
