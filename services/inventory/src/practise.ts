// A made-up article, delivered and held as every other one is, and all of it undone: so the first real hold finds the way known.
import { randomUUID } from 'node:crypto';
import type { Database } from '@millrace/chassis/db';
import { undone } from '@millrace/chassis/warm-up';
import { Books } from './books.ts';
import { eventsOf } from './notices.ts';
import { decide } from './reserve-stock.ts';
import { open } from './stock.ts';
import { lockStock, makeRecords, save, saveHolds } from './store.ts';

/** No product can have it. */
const SKU = ' ';
const OPENING = { sku: SKU, version: 1, name: 'Practice', initialStock: 2, lowStockThreshold: 0 };

export async function practise(db: Database): Promise<void> {
  await undone(db, async (tx) => {
    await makeRecords(tx, [SKU]);
    const delivery = new Books(db.clock.now(), await lockStock(tx, [SKU]), []);
    const record = delivery.levelOf(SKU);
    if (record === undefined) throw new Error('the record that was just made is not there');
    const { stock, movement } = open(record, OPENING, { reason: '', actor: 'inventory' });
    delivery.keep(stock);
    if (movement) delivery.book(movement);
    const delivered = delivery.close();
    await save(tx, delivered);
    const known = delivered.stocks.map((level) => level.stock);
    const books = new Books(db.clock.now(), known, []);
    decide(books, [{ wish: { orderId: randomUUID(), lines: [{ sku: SKU, quantity: 1 }], actor: 'inventory' } }]);
    const closing = books.close();
    await saveHolds(tx, known, closing, eventsOf(closing));
  });
}
