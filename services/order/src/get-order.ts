// Reads one order; all reads of the moment travel in one statement.
import type { Caller } from '@millrace/chassis/api/auth';
import type { Queryable } from '@millrace/chassis/database/db';
import { createBatcher } from '@millrace/chassis/flow/batcher';
import { theirs } from './access.ts';
import type { Order } from './order.ts';
import { loadOrders } from './store.ts';

export type GetOrder = (caller: Caller, orderId: string) => Promise<Order>;

const READS = { name: 'get orders', lanes: 2, max: 500, queueLimit: 5_000 };

export function createGetOrder(db: Queryable): GetOrder {
  const read = createBatcher<string, { order: Order | undefined }>(READS, async (orderIds) => {
    const orders = await loadOrders(db, [...new Set(orderIds)]);
    return orderIds.map((orderId) => ({ order: orders.get(orderId) }));
  });
  return async (caller, orderId) => theirs(caller, orderId, (await read(orderId)).order);
}
