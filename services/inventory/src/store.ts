// Stock, reservations and ledger in the database. Locks are always taken in the same order: stock rows by sku, then reservations
// by order id. Whoever writes goes through change.ts, which keeps to it.
import { isKeyTaken, rowset, sql, type Queryable, type Tx } from '@millrace/chassis/database/db';
import { outboxInsert, type OutgoingEvent } from '@millrace/chassis/events/outbox';
import { LostRaceError, type Closing } from './books.ts';
import type { Reservation } from './reservation.ts';
import type { Movement, Stock } from './stock.ts';

export type ReservationRow = Omit<Reservation, 'state' | 'releaseReason' | 'lines' | 'returns'> & { state: string; releaseReason: string; lines: unknown; returns: unknown };

// Primary key, one probe for each sku. Sorted before it locks: two orders with the same skus in opposite order wait in line, not for each other.
export async function lockStock(tx: Tx, skus: string[]): Promise<Stock[]> {
  return tx.query<Stock>(sql`
    SELECT sku, name, on_hand AS "onHand", reserved, threshold, low, discontinued, opened, product_version AS "productVersion", version, update_time AS "updateTime"
    FROM stock WHERE sku = ANY(${skus}) ORDER BY sku FOR UPDATE`);
}

// Primary key; locks by order id, after the stock. A statement of its own, so that it sees what others committed while the locks on
// the stock were waited for. The clock comes along even when there is no reservation yet.
export async function lockReservations(tx: Tx, orderIds: string[]): Promise<{ now: Date; reservations: Reservation[] }> {
  const rows = await tx.query<{ now: Date } & (ReservationRow | { orderId: null })>(sql`
    SELECT clock.now, held.* FROM (SELECT date_trunc('milliseconds', now()) AS now) AS clock LEFT JOIN LATERAL (
      SELECT order_id AS "orderId", state, lines, hold_until AS "holdUntil", release_reason AS "releaseReason", returns, version,
        create_time AS "createTime", update_time AS "updateTime"
      FROM reservation WHERE order_id = ANY(${orderIds}) ORDER BY order_id FOR UPDATE
    ) AS held ON true`);
  if (rows[0] === undefined) throw new Error('the database has no clock');
  return { now: rows[0].now, reservations: rows.flatMap((row) => (row.orderId === null ? [] : [toReservation(row)])) };
}

const LEVELS = rowset<Stock>('l', {
  sku: ['text', ({ sku }) => sku],
  name: ['text', ({ name }) => name],
  on_hand: ['int', ({ onHand }) => onHand],
  reserved: ['int', ({ reserved }) => reserved],
  threshold: ['int', ({ threshold }) => threshold],
  low: ['boolean', ({ low }) => low],
  discontinued: ['boolean', ({ discontinued }) => discontinued],
  opened: ['boolean', ({ opened }) => opened],
  product_version: ['int', ({ productVersion }) => productVersion],
  version: ['int', ({ version }) => version],
  update_time: ['timestamptz', ({ updateTime }) => updateTime],
});

const RESERVATIONS = rowset<Reservation>('r', {
  order_id: ['text', ({ orderId }) => orderId],
  state: ['text', ({ state }) => state],
  lines: ['jsonb', ({ lines }) => lines],
  hold_until: ['timestamptz', ({ holdUntil }) => holdUntil],
  release_reason: ['text', ({ releaseReason }) => releaseReason],
  returns: ['jsonb', ({ returns }) => returns],
  version: ['int', ({ version }) => version],
  create_time: ['timestamptz', ({ createTime }) => createTime],
  update_time: ['timestamptz', ({ updateTime }) => updateTime],
});

const MOVEMENTS = rowset<Movement>('m', {
  sku: ['text', ({ sku }) => sku],
  kind: ['text', ({ kind }) => kind],
  on_hand_delta: ['int', ({ onHandDelta }) => onHandDelta],
  reserved_delta: ['int', ({ reservedDelta }) => reservedDelta],
  order_id: ['text', ({ orderId }) => orderId],
  reason: ['text', ({ reason }) => reason],
  actor: ['text', ({ actor }) => actor],
});

// Primary keys all: the stock and the changed reservations are locked already; new reservations are inserted by order id, the last
// locks to be taken. One round trip while hot rows are locked.
export async function save(tx: Tx, { stocks, added, changed, movements }: Closing): Promise<void> {
  const [saved] = await tx.query<{ added: number }>(sql`
    WITH levels AS (
      UPDATE stock SET (name, on_hand, reserved, threshold, low, discontinued, opened, product_version, version, update_time)
        = (l.name, l.on_hand, l.reserved, l.threshold, l.low, l.discontinued, l.opened, l.product_version, l.version, l.update_time)
      FROM ${LEVELS(stocks.map(({ stock }) => stock))} WHERE stock.sku = l.sku
    ), changed AS (
      UPDATE reservation SET (state, lines, hold_until, release_reason, returns, version, update_time)
        = (r.state, r.lines, r.hold_until, r.release_reason, r.returns, r.version, r.update_time)
      FROM ${RESERVATIONS(changed)} WHERE reservation.order_id = r.order_id
    ), booked AS (
      INSERT INTO movement (sku, kind, on_hand_delta, reserved_delta, order_id, reason, actor) SELECT * FROM ${MOVEMENTS(movements)}
    ), added AS (
      INSERT INTO reservation (order_id, state, lines, hold_until, release_reason, returns, version, create_time, update_time)
      SELECT * FROM ${RESERVATIONS(added)} ORDER BY order_id
      ON CONFLICT (order_id) DO NOTHING RETURNING 1
    )
    SELECT count(*)::int AS added FROM added`);
  if (saved?.added !== added.length) throw new LostRaceError('a reservation was made by somebody else in the same moment');
}

/** Of a hold there is less to say than of other changes: the rest of its rows is the same for all. */
const HELD_LEVELS = rowset<Stock>('l', {
  sku: ['text', ({ sku }) => sku],
  reserved: ['int', ({ reserved }) => reserved],
  low: ['boolean', ({ low }) => low],
  version: ['int', ({ version }) => version],
});
const SEEN = rowset<Stock>('s', { sku: ['text', ({ sku }) => sku], version: ['int', ({ version }) => version] });
const HOLDS = rowset<Reservation>('h', {
  order_id: ['text', ({ orderId }) => orderId],
  lines: ['jsonb', ({ lines }) => lines],
  hold_until: ['timestamptz', ({ holdUntil }) => holdUntil],
  create_time: ['timestamptz', ({ createTime }) => createTime],
});
const HELD = rowset<Movement>('m', {
  sku: ['text', ({ sku }) => sku],
  quantity: ['int', ({ reservedDelta }) => reservedDelta],
  order_id: ['text', ({ orderId }) => orderId],
  actor: ['text', ({ actor }) => actor],
});

/** What saveHolds fails with when a level has changed since it was seen. */
const LOST_RACE = '40001';
/** Whether saveHolds came too late: a level has changed since it was seen, or an order has a reservation by now. */
export function cameTooLate(error: unknown): boolean {
  return (error as { code?: unknown }).code === LOST_RACE || isKeyTaken(error);
}

// Primary keys all. Locks as the others do: the stock by sku, each level found by a look-up of its own in that order, and the reservations wait
// for it. A change counts one version, so a level must still have the one before. Levels that only refused somebody are compared too: a refusal
// must not rest on an old one either.
/** Holds that were decided on `seen` levels, with what they move and say: all of it, or nothing (cameTooLate). Answers the database's clock. */
export async function saveHolds(db: Queryable, seen: Stock[], { stocks, added, movements }: Closing, events: OutgoingEvent[]): Promise<Date> {
  const levels = stocks.map(({ stock }) => stock);
  const changed = new Set(levels.map(({ sku }) => sku));
  const others = seen.filter(({ sku }) => !changed.has(sku));
  const [saved] = await db.query<{ now: Date }>(sql`
    WITH levels AS (
      UPDATE stock SET reserved = l.reserved, low = l.low, version = l.version, update_time = now()
      FROM (SELECT * FROM ${HELD_LEVELS(levels)} ORDER BY sku) AS l
      WHERE stock.sku = l.sku AND stock.version = l.version - 1 RETURNING 1
    ), unchanged AS MATERIALIZED (
      SELECT (SELECT count(*) FROM levels) = ${levels.length} AND (SELECT count(*) FROM ${SEEN(others)} JOIN stock USING (sku, version)) = ${others.length} AS so
    ), booked AS (
      INSERT INTO movement (sku, kind, on_hand_delta, reserved_delta, order_id, reason, actor)
      SELECT sku, 'HELD', 0, quantity, order_id, '', actor FROM ${HELD(movements)}
    ), said AS (${outboxInsert(events)}), added AS (
      INSERT INTO reservation (order_id, state, lines, hold_until, release_reason, returns, version, create_time, update_time)
      SELECT order_id, 'HELD', lines, hold_until, '', '{}', 1, create_time, create_time FROM ${HOLDS(added)} WHERE (SELECT so FROM unchanged) ORDER BY order_id
    )
    SELECT CASE WHEN (SELECT so FROM unchanged) THEN now() ELSE lost_race() END AS now`);
  if (saved === undefined) throw new Error('the database has no clock');
  return saved.now;
}

// Primary key; inserts by sku. Makes what is missing, so that there is a row to lock whichever product event comes first.
export async function makeRecords(tx: Tx, skus: string[]): Promise<void> {
  await tx.query(sql`INSERT INTO stock (sku) SELECT DISTINCT sku FROM unnest(${skus}::text[]) AS s (sku) ORDER BY sku ON CONFLICT (sku) DO NOTHING`);
}

// Primary key; no locks: change.ts notices when the lines were others by the time it has them.
export async function skusOf(tx: Tx, orderIds: string[]): Promise<string[]> {
  const rows = await tx.query<{ sku: string }>(sql`
    SELECT DISTINCT line ->> 'sku' AS sku FROM reservation, jsonb_array_elements(lines) AS line WHERE order_id = ANY(${orderIds})`);
  return rows.map(({ sku }) => sku);
}

// Index reservation_due; no locks: whether a hold is still one is decided under the locks.
export async function dueHolds(db: Queryable, limit: number): Promise<string[]> {
  const rows = await db.query<{ order_id: string }>(sql`SELECT order_id FROM reservation WHERE state = 'HELD' AND hold_until < now() ORDER BY hold_until LIMIT ${limit}`);
  return rows.map((row) => row.order_id);
}

// Primary key, one probe for each sku.
export async function loadLevels(db: Queryable, skus: string[]): Promise<Map<string, Stock>> {
  const rows = await db.query<Stock>(sql`
    SELECT sku, name, on_hand AS "onHand", reserved, threshold, low, discontinued, opened, product_version AS "productVersion", version, update_time AS "updateTime"
    FROM stock WHERE sku = ANY(${skus}) AND opened`);
  return new Map(rows.map((row) => [row.sku, row]));
}

export function toReservation(row: ReservationRow): Reservation {
  const { orderId, state, releaseReason, lines, returns, holdUntil, version, createTime, updateTime } = row;
  return {
    orderId, holdUntil, version, createTime, updateTime,
    state: state as Reservation['state'],
    releaseReason: releaseReason as Reservation['releaseReason'],
    lines: lines as Reservation['lines'],
    returns: returns as Reservation['returns'],
  };
}
