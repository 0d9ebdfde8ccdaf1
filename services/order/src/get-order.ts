// Reads one order; all reads of the moment travel in one statement.
import type { Caller } from '@millrace/chassis/api/auth';
import type { Queryable } from '@millrace/chassis/database/db';
import { createReader } from '@millrace/chassis/flow/reader';
import { theirs } from './access.ts';
import type { Order } from './order.ts';
import { loadOrders } from './store.ts';

export type GetOrder = (caller: Caller, orderId: string) => Promise<Order>;

export function createGetOrder(db: Queryable): GetOrder {
  const read = createReader('get orders', (orderIds) => loadOrders(db, orderIds));
  return async (caller, orderId) => theirs(caller, orderId, await read(orderId));
}
