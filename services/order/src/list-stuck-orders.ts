// Lists orders that should have moved by themselves, and didn't.
import { refuse } from '@millrace/chassis/api/errors';
import { decodePageToken, encodePageToken, pageLimit } from '@millrace/chassis/api/pages';
import type { Queryable } from '@millrace/chassis/database/db';
import type { Page, OrderPage } from './list-orders.ts';
import { listOverdue } from './store.ts';

/** Loops, relays and consumers get this long before an order counts as stuck. */
const TOLERANCE_MS = 60_000;
const SCOPE = 'ListStuckOrders';
const FIRST = { dueTime: new Date(0), orderId: '' };

export async function listStuckOrders(db: Queryable, { pageSize, pageToken }: Page, toleranceMs = TOLERANCE_MS): Promise<OrderPage> {
  const { dueTime, orderId } = decodePageToken<typeof FIRST>(SCOPE, pageToken) ?? FIRST;
  if (!(dueTime instanceof Date) || typeof orderId !== 'string') throw refuse('INVALID_PAGE_TOKEN', 'the page token is not one of this list');
  const limit = pageLimit(pageSize);
  const orders = await listOverdue(db, toleranceMs, { dueTime, orderId }, limit + 1);
  const last = orders.length > limit ? orders[limit - 1] : undefined;
  return { orders: orders.slice(0, limit), nextPageToken: last ? encodePageToken(SCOPE, { dueTime: last.dueTime, orderId: last.orderId }) : '' };
}
