// What is read of an order from each side, packed into a few bytes by Postgres and taken apart here. Texts are hashes until somebody is to be named.
import { type Bucketed, HASH_OF_ORDER, isSame, tagAt, two } from './buckets.ts';
import { RECORD } from './ledger.ts';
import { KINDS } from './messages.ts';
import type { LedgerRow, MessagesRow, OrderRow, PaymentRow, ReservationRow } from './order-facts.ts';
import type { Service } from './report.ts';
import { hashOf } from './text-hash.ts';
import { young } from './window.ts';
import { codeOf, wordOf } from './words.ts';

type Side = Bucketed & { service: Service };

const FLAG = { moving: 1, disputed: 2, committed: 4, phone: 8 } as const;
/** What belongs to an order may be a little older than it: its stock is held before it is stored. */
const EARLIER = `($2::timestamptz - interval '10 minutes')`;

export const ORDERS: Side = {
  service: 'order', tables: ['orders'], bytes: 48,
  rows: `SELECT *, ${HASH_OF_ORDER} AS hash FROM orders WHERE create_time >= $2::timestamptz`,
  packed: `int8send(hash) || int8send(total) || int8send(captured) || int8send(refunded) || ${two('hashtext(state)', 'hashtext(payment_status)')} || ${two('hashtext(currency)', `
    ${young('update_time')}::int * ${FLAG.moving} + disputed::int * ${FLAG.disputed} + stock_committed::int * ${FLAG.committed} + (customer_phone <> '')::int * ${FLAG.phone}`)}`,
};
export const PAYMENTS: Side = {
  service: 'payment', tables: ['payment'], bytes: 72,
  rows: `SELECT p.*, coalesce(r.asked, 0)::bigint AS asked, ${HASH_OF_ORDER} AS hash
    FROM payment p LEFT JOIN (SELECT order_id, sum(amount) AS asked FROM refund WHERE state <> 'FAILED' GROUP BY order_id) r USING (order_id) WHERE p.create_time >= ${EARLIER}`,
  packed: `int8send(hash) || int8send(amount) || int8send(captured) || int8send(refunded) || int8send(refund_pending) || int8send(asked) || int8send(hashtextextended(provider_payment_id, 0))
    || ${two('hashtext(state)', 'hashtext(currency)')} || int8send((${young('update_time')}::int * ${FLAG.moving} + disputed::int * ${FLAG.disputed})::bigint)`,
};
export const RESERVATIONS: Side = {
  service: 'inventory', tables: ['reservation'], bytes: 16,
  rows: `SELECT *, ${HASH_OF_ORDER} AS hash FROM reservation WHERE create_time >= ${EARLIER}`,
  packed: `int8send(hash) || ${two('hashtext(state)', `${young('update_time')}::int`)}`,
};
export const MESSAGES: Side = {
  service: 'notification', tables: ['notification'], bytes: 16,
  rows: `SELECT *, ${HASH_OF_ORDER} AS hash FROM notification WHERE order_id <> '' AND create_time >= ${EARLIER}`,
  packed: `int8send(hash) || ${two(`hashtext(kind || '/' || channel)`, `${young('create_time')}::int`)}`,
};

/** In a payment. */
const INTENT = 48;

// An amount has at most 13 digits.
const amountAt = (bytes: Buffer, at: number): number => bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
const wordAt = (bytes: Buffer, at: number): string => wordOf(bytes.readInt32BE(at));

export function orderAt(bytes: Buffer, at: number): OrderRow {
  const flags = bytes.readInt32BE(at + 44);
  return {
    total: amountAt(bytes, at + 8), captured: amountAt(bytes, at + 16), refunded: amountAt(bytes, at + 24),
    state: wordAt(bytes, at + 32), paymentStatus: wordAt(bytes, at + 36), currency: wordAt(bytes, at + 40),
    moving: (flags & FLAG.moving) !== 0, disputed: (flags & FLAG.disputed) !== 0, stockCommitted: (flags & FLAG.committed) !== 0, phone: (flags & FLAG.phone) !== 0,
  };
}

export function paymentAt(bytes: Buffer, at: number): PaymentRow {
  const flags = bytes.readInt32BE(at + 68);
  return {
    amount: amountAt(bytes, at + 8), captured: amountAt(bytes, at + 16), refunded: amountAt(bytes, at + 24), refundPending: amountAt(bytes, at + 32), asked: amountAt(bytes, at + 40),
    intent: intentAt(bytes, at + INTENT), state: wordAt(bytes, at + 56), currency: wordAt(bytes, at + 60), moving: (flags & FLAG.moving) !== 0, disputed: (flags & FLAG.disputed) !== 0,
  };
}

export function reservationAt(bytes: Buffer, at: number): ReservationRow {
  return { state: wordAt(bytes, at + 8), moving: bytes.readInt32BE(at + 12) === 1 };
}

/** All messages of an order: one row. */
export function messagesAt(bytes: Buffer, places: number[]): MessagesRow | undefined {
  if (places.length === 0) return undefined;
  const found: MessagesRow = { kinds: 0, moving: false };
  for (const at of places) {
    found.kinds |= BIT_OF_KIND.get(bytes.readInt32BE(at + 8)) ?? 0;
    found.moving ||= bytes.readInt32BE(at + 12) === 1;
  }
  return found;
}
const BIT_OF_KIND = new Map(KINDS.map((kind, bit) => [codeOf(kind), 1 << bit]));

/** `payment`: where the payment is; mostly it is by the same intent, whose tag is not made again. */
export function ledgerAt(bytes: Buffer, at: number, payment: { at: number; row: PaymentRow } | undefined): LedgerRow {
  const isKnown = payment !== undefined && isSame(bytes, payment.at + INTENT, at + RECORD.intent);
  return {
    type: wordAt(bytes, at + RECORD.type), amount: bytes.readDoubleBE(at + RECORD.amount), currency: wordAt(bytes, at + RECORD.currency),
    intent: isKnown ? payment.row.intent : intentAt(bytes, at + RECORD.intent), moving: bytes.readInt32BE(at + RECORD.young) === 1,
  };
}

const intentAt = (bytes: Buffer, at: number): string => (bytes.readUInt32BE(at) === NONE.high && bytes.readUInt32BE(at + 4) === NONE.low ? '' : tagAt(bytes, at));
const NONE = hashOf('');
