// Opens the payments of placed orders, and closes those of cancelled ones; whichever of the two is heard first.
import { crashPoint } from '@millrace/chassis/crash-point';
import type { Tx } from '@millrace/chassis/database/db';
import { appendEvents } from '@millrace/chassis/events/outbox';
import { type Applied, apply, open } from './apply.ts';
import type { Fact } from './facts.ts';
import { type Opening, dueIn } from './payment.ts';
import { insertAccounts } from './save.ts';
import { settle } from './settle.ts';
import { outgoing } from './tell.ts';

export async function openPayments(tx: Tx, orders: Opening[], wake: () => void): Promise<void> {
  const known = await insert(tx, orders, open);
  crashPoint('open.inserted');
  await settle(tx, known.map((order) => ({ orderId: order.orderId, facts: [{ kind: 'placed', order }] })), wake);
  tx.afterCommit(wake);
}

export async function closePayments(tx: Tx, orders: Opening[], wake: () => void): Promise<void> {
  const cancelled: Fact = { kind: 'order_cancelled' };
  const settled = await settle(tx, orders.map(({ orderId }) => ({ orderId, facts: [cancelled] })), wake);
  const unknown = orders.filter((_order, i) => settled[i] === undefined);
  const arrived = await insert(tx, unknown, (order) => apply(open(order).account, cancelled));
  await settle(tx, arrived.map(({ orderId }) => ({ orderId, facts: [cancelled] })), wake);
  crashPoint('order_cancelled.settled');
}

/** Inserts new payments with what is told of them; answers the orders that have one already. */
async function insert(tx: Tx, orders: Opening[], opened: (order: Opening) => Applied): Promise<Opening[]> {
  const first = new Map(orders.map((order) => [order.orderId, order]));
  if (first.size === 0) return [];
  const openings = [...first.values()].map(opened);
  const inserted = await insertAccounts(tx, openings.map(({ account }) => account), (account) => dueIn(account, true));
  await appendEvents(tx, openings.filter(({ account }) => inserted.has(account.payment.orderId)).flatMap(({ told }) => told.map(outgoing)));
  return [...first.values()].filter(({ orderId }) => !inserted.has(orderId));
}
