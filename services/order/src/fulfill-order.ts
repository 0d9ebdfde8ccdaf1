// Says that a paid order was shipped.
import type { Caller } from '@millrace/chassis/api/auth';
import { crashPoint } from '@millrace/chassis/crash-point';
import type { Tx } from '@millrace/chassis/database/db';
import { theirs } from './access.ts';
import { moved } from './announce.ts';
import { fulfill, type Order } from './order.ts';
import type { Recorder } from './record.ts';
import { lockOrders } from './store.ts';

export type Shipment = { orderId: string; carrier: string; trackingNumber: string };

export async function fulfillOrder(tx: Tx, record: Recorder, caller: Caller, { orderId, carrier, trackingNumber }: Shipment): Promise<Order> {
  const { orders, now } = await lockOrders(tx, [orderId]);
  const order = theirs(caller, orderId, orders.get(orderId));
  const next = fulfill(order, carrier, trackingNumber, now);
  if (next !== order) await record(tx, { orders: [next], entries: moved(order, next, caller.subject) });
  crashPoint('fulfill.recorded');
  return next;
}
