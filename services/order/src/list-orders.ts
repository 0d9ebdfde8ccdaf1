// Lists orders, newest first. The page token names the last order shown, so orders placed meanwhile move nothing.
import type { Caller } from '@millrace/chassis/api/auth';
import { refuse } from '@millrace/chassis/api/errors';
import { decodePageToken, encodePageToken, pageLimit } from '@millrace/chassis/api/pages';
import type { Prisma, PrismaClient } from '@millrace/gen/prisma/order/client.ts';
import type { Order, OrderState } from './order.ts';
import { toOrder } from './store.ts';

export type OrderFilter = { customerId: string; states: OrderState[]; createdAfter: Date | undefined; createdBefore: Date | undefined; query: string };
export type Page = { pageSize: number; pageToken: string };
export type OrderPage = { orders: Order[]; nextPageToken: string };

export async function listOrders(prisma: PrismaClient, caller: Caller, asked: OrderFilter, { pageSize, pageToken }: Page): Promise<OrderPage> {
  const filter = caller.role === 'buyer' ? { ...asked, customerId: caller.subject } : asked;
  const scope = `ListOrders ${JSON.stringify(filter)}`;
  const cursor = cursorOf(decodePageToken(scope, pageToken));
  const limit = pageLimit(pageSize);
  const rows = await prisma.order.findMany({
    where: { AND: [matching(filter), cursor ? olderThan(cursor) : {}] },
    orderBy: [{ createTime: 'desc' }, { orderId: 'desc' }],
    take: limit + 1,
  });
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return {
    orders: rows.slice(0, limit).map(toOrder),
    nextPageToken: last ? encodePageToken(scope, { createTime: last.createTime, orderId: last.orderId }) : '',
  };
}

type Cursor = { createTime: Date; orderId: string };

function matching({ customerId, states, createdAfter, createdBefore, query }: OrderFilter): Prisma.OrderWhereInput {
  const beginning = { startsWith: query.replace(/[\\%_]/g, '\\$&') };
  const folded = { startsWith: beginning.startsWith.toLowerCase() };
  return {
    ...(customerId !== '' && { customerId }),
    ...(states.length > 0 && { state: { in: states } }),
    createTime: { gte: createdAfter, lt: createdBefore },
    ...(query !== '' && { OR: [{ orderId: beginning }, { emailKey: folded }, { nameKey: folded }] }),
  };
}

// The first bound is implied by the second, but only it lets Postgres start reading its index at the cursor.
function olderThan({ createTime, orderId }: Cursor): Prisma.OrderWhereInput {
  return { createTime: { lte: createTime }, OR: [{ createTime: { lt: createTime } }, { orderId: { lt: orderId } }] };
}

/** A token is not signed: whatever it says, the cursor is a moment and a text. */
function cursorOf(said: unknown): Cursor | undefined {
  if (said === undefined) return undefined;
  const { createTime, orderId } = said as Partial<Cursor>;
  if (createTime instanceof Date && !Number.isNaN(createTime.getTime()) && typeof orderId === 'string') return { createTime, orderId };
  throw refuse('INVALID_PAGE_TOKEN', 'the page token is not one of this list');
}
