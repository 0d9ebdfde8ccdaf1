// Payments in Postgres. Every time is the database's clock. Rows are locked in the order of order_id, by whoever locks several.
import { type Queryable, rowset, sql } from '@millrace/chassis/database/db';
import { type Account, type Payment, type Refund, isFinal } from './payment.ts';

/** How long a payment is one worker's, anew at each step: a step of two calls that time out. So long a dead worker's payments wait. */
export const LEASE = '20 seconds';

/** A payment as its lease's holder has read or written it. `stamp`: Postgres's own mark of that version of the row (xmin). */
export type Held = { account: Account; stamp: string };

/** What an account is made of; the caller adds `was_asking`, which a claim changes. */
const COLUMNS = sql`p.payment_id, p.order_id, p.customer_id, p.amount, p.currency, p.payment_method, p.state, p.captured, p.refunded, p.refund_pending,
  p.provider_payment_id, p.client_secret, p.intent_open, p.attempts, p.answered, p.failure_code, p.failure_message, p.action_url,
  p.disputed, p.dispute_id, p.dispute_reason, p.order_cancelled, p.due_time, p.version, p.tries, p.generation, p.due_time <= now() AS overdue,
  (extract(epoch FROM now() - p.update_time) * 1000)::float8 AS quiet_ms, p.xmin::text AS stamp`;

/** By payment_pkey. The sort comes before the lock, so that two batches with the same orders can't deadlock. */
export async function lockAccounts(tx: Queryable, orderIds: string[]): Promise<Map<string, Account>> {
  const rows = await tx.query<Row>(sql`SELECT ${COLUMNS}, p.asking AS was_asking FROM payment p WHERE p.order_id = ANY(${orderIds}) ORDER BY p.order_id FOR UPDATE`);
  return accountsOf(tx, rows);
}

export async function readAccounts(db: Queryable, orderIds: string[]): Promise<Map<string, Account>> {
  if (orderIds.length === 0) return new Map();
  return accountsOf(db, await db.query<Row>(sql`SELECT ${COLUMNS}, p.asking AS was_asking FROM payment p WHERE p.order_id = ANY(${orderIds})`));
}

/** By payment_provider_payment_id. */
export async function readAccountsOfIntents(db: Queryable, intentIds: string[]): Promise<Account[]> {
  const rows = await db.query<Row>(sql`
    SELECT ${COLUMNS}, p.asking AS was_asking FROM payment p WHERE p.provider_payment_id = ANY(${intentIds}) AND p.provider_payment_id <> ''`);
  return [...(await accountsOf(db, rows)).values()];
}

/** Orders of the provider's intents, by payment_provider_payment_id. */
export async function ordersOfIntents(db: Queryable, intentIds: string[]): Promise<Map<string, string>> {
  if (intentIds.length === 0) return new Map();
  const rows = await db.query<{ provider_payment_id: string; order_id: string }>(sql`
    SELECT provider_payment_id, order_id FROM payment WHERE provider_payment_id = ANY(${intentIds}) AND provider_payment_id <> ''`);
  return new Map(rows.map((row) => [row.provider_payment_id, row.order_id]));
}

/** Payments whose intents should be among the provider's records since then; a margin for clocks that differ, and for what is under way. */
export async function intentsSince(db: Queryable, since: Date, limit: number): Promise<{ order_id: string; provider_payment_id: string }[]> {
  return db.query(sql`
    SELECT order_id, provider_payment_id FROM payment
    WHERE create_time >= ${since}::timestamptz + interval '1 minute' AND create_time < now() - interval '1 minute' AND provider_payment_id <> ''
    ORDER BY create_time DESC LIMIT ${limit}`);
}

/**
 * Due payments, the longest due first (payment_due), leased to this worker. Whoever holds a lease or a lock is passed over.
 * The ids as an array: a join alone could be planned as a reading of all payments.
 */
export async function claimDue(db: Queryable, limit: number): Promise<Held[]> {
  const rows = await db.query<Row>(sql`
    WITH due AS (
      SELECT order_id, asking FROM payment WHERE next_attempt_time <= now() AND (lease_until IS NULL OR lease_until <= now())
      ORDER BY next_attempt_time LIMIT ${limit} FOR UPDATE SKIP LOCKED)
    UPDATE payment p SET lease_until = now() + ${LEASE}::interval, asking = true
    FROM due WHERE p.order_id = due.order_id AND p.order_id = ANY(ARRAY(SELECT order_id FROM due))
    RETURNING ${COLUMNS}, due.asking AS was_asking`);
  return held(db, rows);
}

/** One payment (payment_pkey), when it is due and nobody else's. */
export async function claimOrder(db: Queryable, orderId: string): Promise<Held | undefined> {
  const rows = await db.query<Row>(sql`
    WITH due AS (
      SELECT order_id, asking FROM payment WHERE order_id = ${orderId} AND next_attempt_time <= now() AND (lease_until IS NULL OR lease_until <= now())
      FOR UPDATE SKIP LOCKED)
    UPDATE payment p SET lease_until = now() + ${LEASE}::interval, asking = true FROM due WHERE p.order_id = due.order_id AND p.order_id = ${orderId}
    RETURNING ${COLUMNS}, due.asking AS was_asking`);
  return (await held(db, rows))[0];
}

type Webhook = { id: string; type: string };
const WEBHOOKS = rowset<Webhook>('e', { id: ['text', ({ id }) => id], type: ['text', ({ type }) => type] });

/** Answers the webhooks that are new (webhook_event_pkey). A concurrent delivery of the same one is waited for. */
export async function rememberWebhooks(tx: Queryable, events: Webhook[]): Promise<Set<string>> {
  const rows = await tx.query<{ id: string }>(sql`INSERT INTO webhook_event (id, type) SELECT * FROM ${WEBHOOKS(events)} ORDER BY id ON CONFLICT DO NOTHING RETURNING id`);
  return new Set(rows.map((row) => row.id));
}

/** The provider repeats a webhook for three days, and its signature holds for five minutes. */
export async function forgetWebhooks(db: Queryable): Promise<void> {
  await db.query(sql`DELETE FROM webhook_event WHERE receive_time < now() - interval '30 days'`);
}

async function held(db: Queryable, rows: Row[]): Promise<Held[]> {
  const accounts = await accountsOf(db, rows);
  return rows.map(({ order_id: orderId, stamp }) => ({ account: accounts.get(orderId) as Account, stamp }));
}

/** With refunds, by refund_order_id_create_time_refund_id_idx: read after the payments are locked, and only where there can be any. */
async function accountsOf(db: Queryable, rows: Row[]): Promise<Map<string, Account>> {
  const accounts = new Map(rows.map((row) => [row.order_id, { payment: fromRow(row), refunds: [] as Refund[], overdue: row.overdue, quietMs: row.quiet_ms }]));
  const refundable = rows.filter((row) => isFinal(row.state) || row.refund_pending > 0n).map((row) => row.order_id);
  if (refundable.length === 0) return accounts;
  const refunds = await db.query<RefundRow>(sql`SELECT * FROM refund WHERE order_id = ANY(${refundable}) ORDER BY order_id, create_time, refund_id`);
  for (const row of refunds) accounts.get(row.order_id)?.refunds.push(fromRefundRow(row));
  return accounts;
}

type Row = {
  payment_id: string; order_id: string; customer_id: string; amount: bigint; currency: string; payment_method: string; state: Payment['state'];
  captured: bigint; refunded: bigint; refund_pending: bigint; provider_payment_id: string; client_secret: string; intent_open: boolean;
  attempts: number; answered: number; failure_code: string; failure_message: string; action_url: string;
  disputed: boolean; dispute_id: string; dispute_reason: string; order_cancelled: boolean; due_time: Date;
  version: number; tries: number; generation: number; was_asking: boolean; overdue: boolean; quiet_ms: number; stamp: string;
};
type RefundRow = { refund_id: string; order_id: string; amount: bigint; state: Refund['state']; reason: string; provider_refund_id: string; failure_message: string };

function fromRow(row: Row): Payment {
  return {
    paymentId: row.payment_id, orderId: row.order_id, customerId: row.customer_id, amount: row.amount, currency: row.currency, paymentMethod: row.payment_method, state: row.state,
    captured: row.captured, refunded: row.refunded, refundPending: row.refund_pending,
    providerPaymentId: row.provider_payment_id, clientSecret: row.client_secret, intentOpen: row.intent_open,
    attempts: row.attempts, answered: row.answered, failureCode: row.failure_code, failureMessage: row.failure_message, actionUrl: row.action_url,
    disputed: row.disputed, disputeId: row.dispute_id, disputeReason: row.dispute_reason, orderCancelled: row.order_cancelled, dueTime: row.due_time,
    version: row.version, tries: row.tries, generation: row.generation, asking: row.was_asking,
  };
}

const fromRefundRow = (row: RefundRow): Refund => ({
  refundId: row.refund_id, amount: row.amount, state: row.state, reason: row.reason, providerRefundId: row.provider_refund_id, failureMessage: row.failure_message,
});
