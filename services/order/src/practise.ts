// A made-up order, again and again on the way of every order, from its price to its rows, and all of it undone: so the first real one finds the way known.
import { randomUUID } from 'node:crypto';
import type { Database, Tx } from '@millrace/chassis/database/db';
import { undone, warmUp } from '@millrace/chassis/warm-up';
import { placed } from './announce.ts';
import { orderIdOf } from './order-id.ts';
import { newOrder } from './order.ts';
import { priceLines } from './pricing.ts';
import { insertOrders } from './store.ts';

/** Orders before the service says that it is ready: the first ones cost many times what the later ones do. */
const ROUNDS = 200;
const CALLER = 'order';
const ARTICLE = { sku: '', name: 'Practice', price: { currency: 'EUR', amount: 1_000n }, archived: false };

export async function practise(db: Database): Promise<void> {
  await undone(db, (tx) => warmUp(ROUNDS, () => place(tx, db.clock.now())));
}

async function place(tx: Tx, now: Date): Promise<void> {
  const requestId = randomUUID();
  const order = newOrder({
    ...priceLines([{ sku: ARTICLE.sku, quantity: 1 }], new Map([[ARTICLE.sku, ARTICLE]])),
    orderId: orderIdOf(CALLER, requestId, ''), customer: { customerId: CALLER, name: '', email: '', phone: '' },
    paymentMethod: '', shippingAddress: undefined, note: '', paymentDueTime: now,
  }, now);
  await insertOrders({ ...tx, wroteEvents() {} }, [{ order, placedBy: CALLER, requestId }], [placed(order, CALLER)]);
}
