// Orders and their timeline in the database.
import { isKeyTaken, rowset, sql, type Database, type Queryable, type Statement, type Tx } from '@millrace/chassis/database/db';
import { outboxInsert, type OutgoingEvent } from '@millrace/chassis/events/outbox';
import type { OrderModel } from '@millrace/gen/prisma/order/models/Order.ts';
import type { Address, CancelCause, Order, OrderLine, OrderState, Payment, PaymentState, Refund } from './order.ts';

export type NewOrder = { order: Order; placedBy: string; requestId: string };
/** Identity of a request to place an order. */
export type RequestKey = { placedBy: string; requestId: string };
export type Locked = { orders: Map<string, Order>; now: Date };
export type TimelineEntry = {
  orderId: string; time: Date; source: string; kind: string; summary: string; eventId: string; actor: string; detail: Record<string, string>;
};
/** What order itself says: an event, and its line in the timeline. */
export type Announcement = { event: OutgoingEvent; entry: TimelineEntry };

const KEYS = rowset<RequestKey>('k', { placed_by: ['text', (key) => key.placedBy], request_id: ['text', (key) => key.requestId], place: ['int', (_, place) => place] });

/** For each key the order that was placed under it, if any. Unique index on (placed_by, request_id). */
export async function findPlaced(db: Queryable, keys: RequestKey[]): Promise<(string | null)[]> {
  const rows = await db.query<{ order_id: string | null }>(sql`
    SELECT (SELECT order_id FROM orders o WHERE o.placed_by = k.placed_by AND o.request_id = k.request_id) FROM ${KEYS(keys)} ORDER BY place`);
  return rows.map((row) => row.order_id);
}

const NEW_ORDERS = rowset<NewOrder>('n', {
  order_id: ['text', ({ order }) => order.orderId],
  placed_by: ['text', ({ placedBy }) => placedBy],
  request_id: ['text', ({ requestId }) => requestId],
  customer_id: ['text', ({ order }) => order.customer.customerId],
  customer_name: ['text', ({ order }) => order.customer.name],
  customer_email: ['text', ({ order }) => order.customer.email],
  customer_phone: ['text', ({ order }) => order.customer.phone],
  lines: ['jsonb', ({ order }) => order.lines.map(({ sku, name, quantity, unitPrice }): JsonLine => ({ sku, name, quantity, unit_price: Number(unitPrice) }))],
  currency: ['text', ({ order }) => order.currency],
  total: ['bigint', ({ order }) => order.total],
  payment_method: ['text', ({ order }) => order.paymentMethod],
  shipping_address: ['jsonb', ({ order }) => order.shippingAddress],
  note: ['text', ({ order }) => order.note],
  payment_due_time: ['timestamptz', ({ order }) => order.paymentDueTime],
});

const ENTRIES = rowset<TimelineEntry>('e', {
  order_id: ['text', ({ orderId }) => orderId],
  time: ['timestamptz', ({ time }) => time],
  source: ['text', ({ source }) => source],
  kind: ['text', ({ kind }) => kind],
  summary: ['text', ({ summary }) => summary],
  event_id: ['text', ({ eventId }) => eventId],
  actor: ['text', ({ actor }) => actor],
  detail: ['jsonb', ({ detail }) => detail],
});

/**
 * Stores new orders with their events and the first entries of their timelines, and answers when each was stored; those that were there
 * already are left out. To look for them costs a search for each, so all are taken for new at first: a request that comes again is rare. In
 * the order of the unique index (placed_by, request_id), so that two batches with the same requests wait for each other instead of
 * deadlocking. One statement is one transaction: nothing is locked while we would think.
 */
export async function insertOrders(db: Pick<Database, 'query' | 'wroteEvents'>, orders: NewOrder[], said: Announcement[]): Promise<Map<string, Date>> {
  const rows = await insertWith(sql``, db, orders, said).catch((error: unknown) => {
    if (!isKeyTaken(error)) throw error;
    return insertWith(sql`ON CONFLICT DO NOTHING`, db, orders, said);
  });
  db.wroteEvents();
  return new Map(rows.map((row) => [row.order_id, row.create_time]));
}

async function insertWith(onConflict: Statement, db: Queryable, orders: NewOrder[], said: Announcement[]): Promise<{ order_id: string; create_time: Date }[]> {
  return db.query(sql`
    WITH stored AS (
      INSERT INTO orders (order_id, placed_by, request_id, customer_id, customer_name, customer_email, customer_phone, lines, currency, total,
        payment_method, shipping_address, note, payment_due_time, next_due_time)
      SELECT order_id, placed_by, request_id, customer_id, customer_name, customer_email, customer_phone, lines, currency, total,
        payment_method, shipping_address, note, payment_due_time, payment_due_time
      FROM ${NEW_ORDERS(orders)}
      ORDER BY placed_by, request_id
      ${onConflict} RETURNING order_id, create_time, next_due_time
    ), waiting AS (
      INSERT INTO order_due (unpaid, due_time, order_id) SELECT true, next_due_time, order_id FROM stored
    ), told AS (
      INSERT INTO timeline (order_id, time, source, kind, summary, event_id, actor, detail)
      SELECT order_id, create_time, source, kind, summary, event_id, actor, detail
      FROM ${ENTRIES(said.map(({ entry }) => entry))} JOIN stored USING (order_id)
    ), said AS (${outboxInsert(said.map(({ event }) => event), sql`SELECT order_id FROM stored`)})
    SELECT order_id, create_time FROM stored`);
}

/** Orders by id, in no particular order. Primary key. */
export async function loadOrders(db: Queryable, orderIds: string[]): Promise<Map<string, Order>> {
  const rows = await db.query<StoredOrder>(sql`SELECT ${COLUMNS} FROM orders WHERE order_id = ANY(${orderIds}::text[])`);
  return new Map(rows.map((row) => [row.orderId, toOrder(row)]));
}

/**
 * Orders by id, locked to the end of the transaction: always in the order of their ids, so that transactions that want the same orders queue.
 * Not FOR UPDATE: nobody changes the key. Primary key.
 */
export async function lockOrders(tx: Tx, orderIds: string[]): Promise<Locked> {
  return locked(await tx.query<LockedRow>(sql`
    SELECT ${COLUMNS}, now() AS now FROM orders WHERE order_id = ANY(${orderIds}::text[]) ORDER BY order_id FOR NO KEY UPDATE`));
}

/** Orders that were not paid in time, locked; rows that others hold are theirs, so it never waits. By order_due_pkey and the primary key. */
export async function lockUnpaid(tx: Tx, limit: number): Promise<Locked> {
  return locked(await tx.query<LockedRow>(sql`
    SELECT ${COLUMNS}, now() AS now FROM orders
    WHERE order_id = ANY(ARRAY(SELECT order_id FROM order_due WHERE unpaid AND due_time < now() ORDER BY due_time LIMIT ${limit}))
      AND state = 'PENDING_PAYMENT' AND payment_due_time < now()
    FOR NO KEY UPDATE SKIP LOCKED`));
}

/** Orders that should have moved by now, longest overdue first. By order_due_pkey, both parts of it, and the primary key. */
export async function listOverdue(db: Queryable, toleranceMs: number, after: { dueTime: Date; orderId: string }, limit: number): Promise<Order[]> {
  const page = sql`due_time < now() - ${toleranceMs}::float8 * interval '1 millisecond' AND (due_time, order_id) > (${after.dueTime}, ${after.orderId})
    ORDER BY due_time, order_id LIMIT ${limit}`;
  const rows = await db.query<StoredOrder>(sql`
    SELECT ${COLUMNS} FROM orders WHERE order_id = ANY(ARRAY(
      SELECT order_id FROM ((SELECT * FROM order_due WHERE unpaid AND ${page}) UNION ALL (SELECT * FROM order_due WHERE NOT unpaid AND ${page})) AS overdue
      ORDER BY due_time, order_id LIMIT ${limit}))
    ORDER BY next_due_time, order_id`);
  return rows.map(toOrder);
}

const CHANGES = rowset<Order>('r', {
  order_id: ['text', ({ orderId }) => orderId],
  state: ['text', ({ state }) => state],
  payment_state: ['text', ({ paymentState }) => paymentState],
  payment_version: ['int', ({ payment }) => payment.version],
  payment_status: ['text', ({ payment }) => payment.state],
  captured: ['bigint', ({ payment }) => payment.captured],
  refunded: ['bigint', ({ payment }) => payment.refunded],
  refund_pending: ['bigint', ({ payment }) => payment.refundPending],
  disputed: ['boolean', ({ payment }) => payment.disputed],
  refunds: ['jsonb', (order) => order.refunds.map(({ refundId, amount, ...refund }): JsonRefund => ({ ...refund, refund_id: refundId, amount: Number(amount) }))],
  stock_committed: ['boolean', ({ stockCommitted }) => stockCommitted],
  cancel_cause: ['text', ({ cancelCause }) => cancelCause],
  cancel_reason: ['text', ({ cancelReason }) => cancelReason],
  carrier: ['text', ({ carrier }) => carrier],
  tracking_number: ['text', ({ trackingNumber }) => trackingNumber],
  due_time: ['timestamptz', ({ dueTime }) => dueTime],
  version: ['int', ({ version }) => version],
  update_time: ['timestamptz', ({ updateTime }) => updateTime],
});

/**
 * Writes what can change of locked orders, and their places among those that wait, which are where their rows say. Primary keys: each place
 * by a search of its own, because a join could be planned as a reading of all that wait.
 */
export async function saveOrders(tx: Tx, orders: Order[]): Promise<void> {
  if (orders.length === 0) return;
  await tx.query(sql`
    WITH saved AS (
      UPDATE orders o SET state = r.state, payment_state = r.payment_state, payment_version = r.payment_version, payment_status = r.payment_status,
        captured = r.captured, refunded = r.refunded, refund_pending = r.refund_pending, disputed = r.disputed, refunds = r.refunds,
        stock_committed = r.stock_committed, cancel_cause = r.cancel_cause, cancel_reason = r.cancel_reason, carrier = r.carrier,
        tracking_number = r.tracking_number, next_due_time = r.due_time, version = r.version, update_time = r.update_time
      FROM ${CHANGES(orders)} WHERE o.order_id = r.order_id
      RETURNING o.order_id, old.state = 'PENDING_PAYMENT' AS was_unpaid, old.next_due_time AS was_due, new.state = 'PENDING_PAYMENT' AS unpaid, new.next_due_time AS due_time
    ), moved AS (
      SELECT * FROM saved WHERE (was_unpaid, was_due) IS DISTINCT FROM (unpaid, due_time)
    ), gone AS (
      DELETE FROM order_due WHERE ctid = ANY(ARRAY(
        SELECT place FROM moved m, LATERAL (SELECT ctid AS place FROM order_due d WHERE d.unpaid = m.was_unpaid AND d.due_time = m.was_due AND d.order_id = m.order_id OFFSET 0) p))
    )
    INSERT INTO order_due (unpaid, due_time, order_id) SELECT unpaid, due_time, order_id FROM moved WHERE due_time IS NOT NULL`);
}

/** Adds entries to the timelines of orders that exist. */
export async function addToTimeline(tx: Tx, entries: TimelineEntry[]): Promise<void> {
  if (entries.length > 0) await tx.query(insertEntries(entries));
}

/** Adds entries to the timelines of the orders that exist; the others are about orders that never came to be. Primary key. */
export async function addWhereKnown(tx: Tx, entries: TimelineEntry[]): Promise<void> {
  if (entries.length > 0) await tx.query(sql`${insertEntries(entries)} WHERE (SELECT true FROM orders o WHERE o.order_id = e.order_id)`);
}

function insertEntries(entries: TimelineEntry[]): Statement {
  return sql`
    INSERT INTO timeline (order_id, time, source, kind, summary, event_id, actor, detail)
    SELECT order_id, coalesce(time, now()), source, kind, summary, event_id, actor, detail FROM ${ENTRIES(entries)}`;
}

/** What of a row makes the order; the rest is for finding it. */
export type StoredOrder = Omit<OrderModel, 'placedBy' | 'requestId' | 'emailKey' | 'nameKey'>;
type LockedRow = StoredOrder & { now: Date };
/** Under the names that Prisma gives them. */
export const COLUMNS = sql`order_id AS "orderId", customer_id AS "customerId", customer_name AS "customerName", customer_email AS "customerEmail", customer_phone AS "customerPhone",
  lines, currency, total, payment_method AS "paymentMethod", shipping_address AS "shippingAddress", note, state, payment_state AS "paymentState", payment_version AS "paymentVersion",
  payment_status AS "paymentStatus", captured, refunded, refund_pending AS "refundPending", disputed, refunds, stock_committed AS "stockCommitted", cancel_cause AS "cancelCause",
  cancel_reason AS "cancelReason", carrier, tracking_number AS "trackingNumber", payment_due_time AS "paymentDueTime", next_due_time AS "dueTime", version,
  create_time AS "createTime", update_time AS "updateTime"`;

/** A row as an order. */
export function toOrder(row: StoredOrder): Order {
  const { customerId, customerName: name, customerEmail: email, customerPhone: phone } = row;
  return {
    orderId: row.orderId,
    customer: { customerId, name, email, phone },
    lines: (row.lines as JsonLine[]).map(({ unit_price, ...line }): OrderLine => ({ ...line, unitPrice: BigInt(unit_price) })),
    currency: row.currency,
    total: row.total,
    paymentMethod: row.paymentMethod,
    shippingAddress: (row.shippingAddress ?? undefined) as Address | undefined,
    note: row.note,
    state: row.state as OrderState,
    paymentState: row.paymentState as PaymentState,
    payment: {
      version: row.paymentVersion, state: row.paymentStatus as Payment['state'], disputed: row.disputed,
      captured: row.captured, refunded: row.refunded, refundPending: row.refundPending,
    },
    refunds: (row.refunds as JsonRefund[]).map(({ refund_id, amount, ...refund }): Refund => ({ ...refund, refundId: refund_id, amount: BigInt(amount) })),
    stockCommitted: row.stockCommitted,
    cancelCause: row.cancelCause as CancelCause | '',
    cancelReason: row.cancelReason,
    carrier: row.carrier,
    trackingNumber: row.trackingNumber,
    paymentDueTime: row.paymentDueTime,
    dueTime: row.dueTime ?? undefined,
    version: row.version,
    createTime: row.createTime,
    updateTime: row.updateTime,
  };
}

/** Amounts are below 2^53 by contract, so JSON numbers hold them exactly. */
type JsonLine = { sku: string; name: string; quantity: number; unit_price: number };
type JsonRefund = Omit<Refund, 'refundId' | 'amount'> & { refund_id: string; amount: number };

function locked(rows: LockedRow[]): Locked {
  return { orders: new Map(rows.map((row) => [row.orderId, toOrder(row)])), now: rows[0]?.now ?? new Date(0) };
}
