// Stock, reservations and ledger in the database. Locks are always taken in the same order: stock rows by sku, then reservations
// by order id. Whoever writes goes through change.ts, which keeps to it.
import { sql, type Queryable, type Statement, type Tx } from '@millrace/chassis/db';
import { outboxInsert, type OutgoingEvent } from '@millrace/chassis/outbox';
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

// Primary keys all: the stock and the changed reservations are locked already; new reservations are inserted by order id, the last
// locks to be taken. One round trip while hot rows are locked.
export async function save(tx: Tx, { stocks, added, changed, movements }: Closing): Promise<void> {
  const [saved] = await tx.query<{ added: number }>(sql`
    WITH levels AS (
      UPDATE stock SET (name, on_hand, reserved, threshold, low, discontinued, opened, product_version, version, update_time)
        = (n.name, n.on_hand, n.reserved, n.threshold, n.low, n.discontinued, n.opened, n.product_version, n.version, n.update_time)
      FROM json_populate_recordset(NULL::stock, ${JSON.stringify(stocks.map(({ stock }) => stockRow(stock)))}) AS n
      WHERE stock.sku = n.sku AND stock.sku = ANY(${stocks.map(({ stock }) => stock.sku)})
    ), changed AS (
      UPDATE reservation SET (state, lines, hold_until, release_reason, returns, version, update_time)
        = (n.state, n.lines, n.hold_until, n.release_reason, n.returns, n.version, n.update_time)
      FROM json_populate_recordset(NULL::reservation, ${JSON.stringify(changed.map(reservationRow))}) AS n
      WHERE reservation.order_id = n.order_id AND reservation.order_id = ANY(${changed.map(({ orderId }) => orderId)})
    ), booked AS (${movementInsert(movements)}), added AS (
      INSERT INTO reservation (order_id, state, lines, hold_until, release_reason, returns, version, create_time, update_time)
      SELECT order_id, state, lines, hold_until, release_reason, returns, version, create_time, update_time
      FROM ${reservationRows(added)} ORDER BY order_id
      ON CONFLICT (order_id) DO NOTHING RETURNING 1
    )
    SELECT count(*)::int AS added FROM added`);
  if (saved?.added !== added.length) throw new LostRaceError('a reservation was made by somebody else in the same moment');
}

/** What saveHolds fails with when a level has changed since it was seen, or an order has a reservation by now. */
export const LOST_RACE = '40001';

// Primary keys all. Locks as the others do: the stock by sku first, and the reservations wait for that. Also when all was refused: a refusal
// must not rest on an old level either.
/** Holds that were decided on `seen` levels, with what they move and say: all of it, or LOST_RACE and nothing. Answers the database's clock. */
export async function saveHolds(db: Queryable, seen: Stock[], { stocks, added, movements }: Closing, events: OutgoingEvent[]): Promise<Date> {
  const [saved] = await db.query<{ now: Date }>(sql`
    WITH locked AS MATERIALIZED (
      SELECT sku, version FROM stock WHERE sku = ANY(${seen.map(({ sku }) => sku)}) ORDER BY sku FOR NO KEY UPDATE
    ), unchanged AS MATERIALIZED (
      SELECT count(*) FROM locked JOIN unnest(${seen.map(({ sku }) => sku)}::text[], ${seen.map(({ version }) => version)}::int[]) AS seen (sku, version) USING (sku, version)
    ), levels AS (
      UPDATE stock SET reserved = n.reserved, low = n.low, version = n.version, update_time = now()
      FROM json_populate_recordset(NULL::stock, ${JSON.stringify(stocks.map(({ stock: { sku, reserved, low, version } }) => ({ sku, reserved, low, version })))}) AS n
      WHERE stock.sku = n.sku AND stock.sku = ANY(${stocks.map(({ stock }) => stock.sku)}) AND (SELECT count FROM unchanged) = ${seen.length}
    ), booked AS (${movementInsert(movements)}), said AS (${outboxInsert(events)}), added AS (
      INSERT INTO reservation (order_id, state, lines, hold_until, release_reason, returns, version, create_time, update_time)
      SELECT order_id, state, lines, hold_until, release_reason, returns, version, create_time, update_time
      FROM ${reservationRows(added)} WHERE (SELECT count FROM unchanged) = ${seen.length} ORDER BY order_id
      ON CONFLICT (order_id) DO NOTHING RETURNING 1
    )
    SELECT CASE WHEN (SELECT count FROM unchanged) = ${seen.length} AND (SELECT count(*) FROM added) = ${added.length} THEN now() ELSE lost_race() END AS now`);
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
export async function readLevels(db: Queryable, skus: string[]): Promise<Stock[]> {
  return db.query<Stock>(sql`
    SELECT sku, name, on_hand AS "onHand", reserved, threshold, low, discontinued, opened, product_version AS "productVersion", version, update_time AS "updateTime"
    FROM stock WHERE sku = ANY(${skus}) AND opened`);
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

function movementInsert(movements: Movement[]): Statement {
  return sql`
    INSERT INTO movement (sku, kind, on_hand_delta, reserved_delta, order_id, reason, actor)
    SELECT sku, kind, "onHandDelta", "reservedDelta", "orderId", reason, actor
    FROM json_to_recordset(${JSON.stringify(movements)})
      AS m (sku text, kind text, "onHandDelta" int, "reservedDelta" int, "orderId" text, reason text, actor text)`;
}

function stockRow({ onHand, productVersion, updateTime, ...same }: Stock) {
  return { ...same, on_hand: onHand, product_version: productVersion, update_time: updateTime };
}

/** New ones, as something to select from. As arrays: made of JSON, a row costs Postgres a third more. */
function reservationRows(added: Reservation[]): Statement {
  const [lines, returns] = [added.map((row) => JSON.stringify(row.lines)), added.map((row) => JSON.stringify(row.returns))];
  const [until, created, updated] = (['holdUntil', 'createTime', 'updateTime'] as const).map((name) => added.map((row) => row[name].toISOString()));
  return sql`unnest(${added.map(({ orderId }) => orderId)}::text[], ${added.map(({ state }) => state)}::text[], ${lines}::jsonb[], ${until}::timestamptz[],
      ${added.map(({ releaseReason }) => releaseReason)}::text[], ${returns}::jsonb[], ${added.map(({ version }) => version)}::int[], ${created}::timestamptz[], ${updated}::timestamptz[])
      AS n (order_id, state, lines, hold_until, release_reason, returns, version, create_time, update_time)`;
}

function reservationRow({ orderId, holdUntil, releaseReason, createTime, updateTime, ...same }: Reservation) {
  return { ...same, order_id: orderId, hold_until: holdUntil, release_reason: releaseReason, create_time: createTime, update_time: updateTime };
}
