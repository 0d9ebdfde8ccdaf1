// Ends an order that was not shipped; payment and inventory hear of it and undo their parts.
import type { Caller } from '@millrace/chassis/api/auth';
import { crashPoint } from '@millrace/chassis/crash-point';
import type { Tx } from '@millrace/chassis/database/db';
import { theirs } from './access.ts';
import { moved } from './announce.ts';
import { cancel, type CancelCause, type Order } from './order.ts';
import type { Recorder } from './record.ts';
import { lockOrders } from './store.ts';

export async function cancelOrder(tx: Tx, record: Recorder, caller: Caller, { orderId, reason }: { orderId: string; reason: string }): Promise<Order> {
  const { orders, now } = await lockOrders(tx, [orderId]);
  const order = theirs(caller, orderId, orders.get(orderId));
  const cause = causeOf(caller);
  const next = cancel(order, cause, reason.trim() || UNSAID[cause], now);
  if (next !== order) await record(tx, { orders: [next], entries: moved(order, next, caller.subject) });
  crashPoint('cancel.recorded');
  return next;
}

const UNSAID = { BUYER: 'cancelled by the buyer', OPERATOR: 'cancelled by an operator' };

function causeOf(caller: Caller): CancelCause & keyof typeof UNSAID {
  return caller.role === 'admin' ? 'OPERATOR' : 'BUYER';
}
