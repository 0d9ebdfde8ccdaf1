// A made-up order on the way of every order, from its price to its rows, and all of it undone: so the first real one finds the way known.
import { randomUUID } from 'node:crypto';
import type { Database } from '@millrace/chassis/db';
import { undone } from '@millrace/chassis/warm-up';
import { placed } from './announce.ts';
import { newOrder } from './order.ts';
import { orderIdOf } from './order-id.ts';
import { priceLines } from './pricing.ts';
import { insertOrders } from './store.ts';

const CALLER = 'order';
const ARTICLE = { sku: '', name: 'Practice', price: { currency: 'EUR', amount: 1_000n }, archived: false };

export async function practise(db: Database): Promise<void> {
  const requestId = randomUUID();
  const now = db.clock.now();
  const order = newOrder({
    ...priceLines([{ sku: ARTICLE.sku, quantity: 1 }], new Map([[ARTICLE.sku, ARTICLE]])),
    orderId: orderIdOf(CALLER, requestId, ''), customer: { customerId: CALLER, name: '', email: '', phone: '' },
    paymentMethod: '', shippingAddress: undefined, note: '', paymentDueTime: now,
  }, now);
  await undone(db, (tx) => insertOrders({ ...tx, wroteEvents() {} }, [{ order, placedBy: CALLER, requestId }], [placed(order, CALLER)]));
}
