// Lists orders, newest first. The page token names the last order shown, so orders placed meanwhile move nothing.
import type { Caller } from '@millrace/chassis/api/auth';
import { refuse } from '@millrace/chassis/api/errors';
import { decodePageToken, encodePageToken, pageLimit } from '@millrace/chassis/api/pages';
import { allOf, likeText, plannedByValue, sql, type Database, type Queryable } from '@millrace/chassis/database/db';
import { inTurn } from '@millrace/chassis/flow/in-turn';
import type { Order, OrderState } from './order.ts';
import { COLUMNS, toOrder, type StoredOrder } from './store.ts';

export type OrderFilter = { customerId: string; states: OrderState[]; createdAfter: Date | undefined; createdBefore: Date | undefined; query: string };
export type Page = { pageSize: number; pageToken: string };
export type OrderPage = { orders: Order[]; nextPageToken: string };
export type ListOrders = (caller: Caller, asked: OrderFilter, page: Page) => Promise<OrderPage>;

export function createListOrders(db: Database): ListOrders {
  const turn = inTurn('list orders');
  return (caller, asked, page) => turn(() => listOrders(db, caller, asked, page));
}

async function listOrders(db: Database, caller: Caller, asked: OrderFilter, { pageSize, pageToken }: Page): Promise<OrderPage> {
  const filter = caller.role === 'buyer' ? { ...asked, customerId: caller.subject } : asked;
  const scope = `ListOrders ${JSON.stringify(filter)}`;
  const cursor = cursorOf(decodePageToken(scope, pageToken));
  const limit = pageLimit(pageSize);
  const find = (queryable: Queryable) => findOrders(queryable, filter, cursor, limit + 1);
  const found = filter.query === '' ? await find(db) : await plannedByValue(db, find);
  const last = found.length > limit ? found[limit - 1] : undefined;
  return {
    orders: found.slice(0, limit),
    nextPageToken: last ? encodePageToken(scope, { createTime: last.createTime, orderId: last.orderId }) : '',
  };
}

type Cursor = { createTime: Date; orderId: string };

/** By the index of customers or that of times; with a beginning by those of ids, mail addresses and names, if it fits few. */
async function findOrders(db: Queryable, { customerId, states, createdAfter, createdBefore, query }: OrderFilter, cursor: Cursor | undefined, limit: number): Promise<Order[]> {
  const beginning = `${likeText(query)}%`;
  const folded = beginning.toLowerCase();
  const where = allOf([
    customerId !== '' && sql`customer_id = ${customerId}`,
    states.length > 0 && sql`state = ANY(${states})`,
    createdAfter && sql`create_time >= ${createdAfter}`,
    createdBefore && sql`create_time < ${createdBefore}`,
    query !== '' && sql`(order_id LIKE ${beginning} OR email_key LIKE ${folded} OR name_key LIKE ${folded})`,
    cursor && sql`(create_time, order_id) < (${cursor.createTime}, ${cursor.orderId})`,
  ]);
  const rows = await db.query<StoredOrder>(sql`SELECT ${COLUMNS} FROM orders WHERE ${where} ORDER BY create_time DESC, order_id DESC LIMIT ${limit}`);
  return rows.map(toOrder);
}

/** A token is not signed: whatever it says, the cursor is a moment and a text. */
function cursorOf(said: unknown): Cursor | undefined {
  if (said === undefined) return undefined;
  const { createTime, orderId } = said as Partial<Cursor>;
  if (createTime instanceof Date && !Number.isNaN(createTime.getTime()) && typeof orderId === 'string') return { createTime, orderId };
  throw refuse('INVALID_PAGE_TOKEN', 'the page token is not one of this list');
}
