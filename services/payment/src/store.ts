// Payments in Postgres. Every time is the database's clock. Rows are locked in the order of order_id, by whoever locks several.
import { type Queryable, sql } from '@millrace/chassis/db';
import type { Account, Payment, Refund } from './payment.ts';

/** How long a payment is one worker's, anew at each step: a step of two calls that time out. So long a dead worker's payments wait. */
const LEASE = '20 seconds';

/** `changed`: more than our own bookkeeping. `dueMs`: when it is looked at again, null for never. `lease`: what becomes of the worker's hold on it. */
export type Change = { account: Account; refunds: Refund[]; changed: boolean; dueMs: number | null; atLatest: boolean; lease: 'untouched' | 'extended' | 'released' };

/** Writes rows that aren't there yet; answers the orders that were new. A concurrent insert of the same order is waited for. */
export async function insertAccounts(tx: Queryable, accounts: Account[], dueMs: (account: Account) => number | null): Promise<Set<string>> {
  const rows = accounts.map((account) => ({ ...toRow(account.payment), due_ms: dueMs(account) })).sort(byOrder);
  const inserted = await tx.query<{ order_id: string }>(sql`
    INSERT INTO payment (payment_id, order_id, customer_id, amount, currency, payment_method, state, captured, attempts, due_time, version, order_cancelled, next_attempt_time)
    SELECT x.payment_id, x.order_id, x.customer_id, x.amount, x.currency, x.payment_method, x.state, x.captured, x.attempts, x.due_time, x.version, x.order_cancelled,
      now() + (j.value->>'due_ms')::float8 * interval '1 ms'
    FROM jsonb_array_elements(${JSON.stringify(rows)}::jsonb) j, jsonb_populate_record(NULL::payment, j.value) x
    ON CONFLICT (order_id) DO NOTHING RETURNING order_id`);
  return new Set(inserted.map((row) => row.order_id));
}

/** By payment_order_id_key. The sort comes before the lock, so that two batches with the same orders can't deadlock. */
export async function lockAccounts(tx: Queryable, orderIds: string[]): Promise<Map<string, Account>> {
  const rows = await tx.query<Row>(sql`
    SELECT *, asking AS was_asking, due_time <= now() AS overdue FROM payment WHERE order_id = ANY(${orderIds}) ORDER BY order_id FOR UPDATE`);
  return withRefunds(tx, rows);
}

export async function readAccounts(db: Queryable, orderIds: string[]): Promise<Map<string, Account>> {
  const rows = await db.query<Row>(sql`SELECT *, asking AS was_asking, due_time <= now() AS overdue FROM payment WHERE order_id = ANY(${orderIds})`);
  return withRefunds(db, rows);
}

/** Orders of the provider's intents, by payment_provider_payment_id. */
export async function ordersOfIntents(db: Queryable, intentIds: string[]): Promise<Map<string, string>> {
  if (intentIds.length === 0) return new Map();
  const rows = await db.query<{ provider_payment_id: string; order_id: string }>(sql`
    SELECT provider_payment_id, order_id FROM payment WHERE provider_payment_id = ANY(${intentIds}) AND provider_payment_id <> ''`);
  return new Map(rows.map((row) => [row.provider_payment_id, row.order_id]));
}

/** One statement for all rows, which the caller has locked. */
export async function saveAccounts(tx: Queryable, changes: Change[]): Promise<void> {
  if (changes.length === 0) return;
  const rows = changes.map(({ account, changed, dueMs, atLatest, lease }) => ({ ...toRow(account.payment), changed, due_ms: dueMs, at_latest: atLatest, lease }));
  await tx.query(sql`
    UPDATE payment p SET
      customer_id = x.customer_id, payment_method = x.payment_method, state = x.state, captured = x.captured, refunded = x.refunded, refund_pending = x.refund_pending,
      provider_payment_id = x.provider_payment_id, client_secret = x.client_secret, intent_open = x.intent_open, attempts = x.attempts, answered = x.answered,
      failure_code = x.failure_code, failure_message = x.failure_message, action_url = x.action_url,
      disputed = x.disputed, dispute_id = x.dispute_id, dispute_reason = x.dispute_reason,
      order_cancelled = x.order_cancelled, due_time = x.due_time, version = x.version, tries = x.tries, generation = x.generation, asking = x.asking,
      update_time = CASE WHEN (j.value->>'changed')::boolean THEN now() ELSE p.update_time END,
      lease_until = CASE j.value->>'lease' WHEN 'extended' THEN now() + ${LEASE}::interval WHEN 'untouched' THEN p.lease_until END,
      next_attempt_time = CASE
        WHEN j.value->>'due_ms' IS NULL THEN NULL
        ELSE LEAST(
          now() + (j.value->>'due_ms')::float8 * interval '1 ms',
          CASE WHEN (j.value->>'at_latest')::boolean THEN p.next_attempt_time END,
          CASE WHEN x.due_time > now() AND x.state NOT IN ('SUCCEEDED', 'CANCELLED') THEN x.due_time END)
        END
    FROM jsonb_array_elements(${JSON.stringify(rows)}::jsonb) j, jsonb_populate_record(NULL::payment, j.value) x
    WHERE p.order_id = x.order_id`);
  const refunds = changes.flatMap(({ account, refunds: changed }) => changed.map((refund) => toRefundRow(refund, account.payment.orderId)));
  if (refunds.length === 0) return;
  await tx.query(sql`
    INSERT INTO refund (refund_id, order_id, amount, state, reason, provider_refund_id, failure_message, create_time)
    SELECT refund_id, order_id, amount, state, reason, provider_refund_id, failure_message, clock_timestamp() FROM jsonb_populate_recordset(NULL::refund, ${JSON.stringify(refunds)}::jsonb)
    ON CONFLICT (refund_id) DO UPDATE SET
      state = EXCLUDED.state, provider_refund_id = EXCLUDED.provider_refund_id, failure_message = EXCLUDED.failure_message, update_time = now()`);
}

/** Payments whose intents should be among the provider's records since then; a margin for clocks that differ, and for what is under way. */
export async function intentsSince(db: Queryable, since: Date, limit: number): Promise<{ order_id: string; provider_payment_id: string }[]> {
  return db.query(sql`
    SELECT order_id, provider_payment_id FROM payment
    WHERE create_time >= ${since}::timestamptz + interval '1 minute' AND create_time < now() - interval '1 minute' AND provider_payment_id <> ''
    ORDER BY create_time DESC LIMIT ${limit}`);
}

/** Due payments, the longest due first (payment_due), leased to this worker. Whoever holds a lease or a lock is passed over. */
export async function claimDue(db: Queryable, limit: number): Promise<Account[]> {
  const rows = await db.query<Row>(sql`
    WITH due AS (
      SELECT payment_id, asking FROM payment WHERE next_attempt_time <= now() AND (lease_until IS NULL OR lease_until <= now())
      ORDER BY next_attempt_time LIMIT ${limit} FOR UPDATE SKIP LOCKED)
    UPDATE payment p SET lease_until = now() + ${LEASE}::interval, asking = true FROM due WHERE p.payment_id = due.payment_id
    RETURNING p.*, due.asking AS was_asking, p.due_time <= now() AS overdue`);
  return [...(await withRefunds(db, rows)).values()];
}

/** One payment, when it is due and nobody else's. */
export async function claimOrder(db: Queryable, orderId: string): Promise<Account | undefined> {
  const rows = await db.query<Row>(sql`
    WITH due AS (
      SELECT payment_id, asking FROM payment WHERE order_id = ${orderId} AND next_attempt_time <= now() AND (lease_until IS NULL OR lease_until <= now())
      FOR UPDATE SKIP LOCKED)
    UPDATE payment p SET lease_until = now() + ${LEASE}::interval, asking = true FROM due WHERE p.payment_id = due.payment_id
    RETURNING p.*, due.asking AS was_asking, p.due_time <= now() AS overdue`);
  return (await withRefunds(db, rows)).get(orderId);
}

/** Answers the webhooks that are new. A concurrent delivery of the same one is waited for. */
export async function rememberWebhooks(tx: Queryable, events: { id: string; type: string }[]): Promise<Set<string>> {
  const sorted = [...events].sort((a, b) => (a.id < b.id ? -1 : 1));
  const rows = await tx.query<{ id: string }>(sql`
    INSERT INTO webhook_event (id, type) SELECT id, type FROM unnest(${sorted.map(({ id }) => id)}::text[], ${sorted.map(({ type }) => type)}::text[]) AS e (id, type)
    ON CONFLICT DO NOTHING RETURNING id`);
  return new Set(rows.map((row) => row.id));
}

/** The provider repeats a webhook for three days, and its signature holds for five minutes. */
export async function forgetWebhooks(db: Queryable): Promise<void> {
  await db.query(sql`DELETE FROM webhook_event WHERE receive_time < now() - interval '30 days'`);
}

async function withRefunds(db: Queryable, rows: Row[]): Promise<Map<string, Account>> {
  const accounts = new Map(rows.map((row) => [row.order_id, { payment: fromRow(row), refunds: [] as Refund[], overdue: row.overdue }]));
  if (rows.length === 0) return accounts;
  const refunds = await db.query<RefundRow>(sql`SELECT * FROM refund WHERE order_id = ANY(${[...accounts.keys()]}) ORDER BY order_id, create_time, refund_id`);
  for (const row of refunds) accounts.get(row.order_id)?.refunds.push(fromRefundRow(row));
  return accounts;
}

type Row = {
  payment_id: string; order_id: string; customer_id: string; amount: bigint; currency: string; payment_method: string; state: Payment['state'];
  captured: bigint; refunded: bigint; refund_pending: bigint; provider_payment_id: string; client_secret: string; intent_open: boolean;
  attempts: number; answered: number; failure_code: string; failure_message: string; action_url: string;
  disputed: boolean; dispute_id: string; dispute_reason: string; order_cancelled: boolean; due_time: Date;
  version: number; tries: number; generation: number; was_asking: boolean; overdue: boolean;
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

function toRow(payment: Payment): Record<string, unknown> {
  return {
    payment_id: payment.paymentId, order_id: payment.orderId, customer_id: payment.customerId, amount: String(payment.amount), currency: payment.currency,
    payment_method: payment.paymentMethod, state: payment.state, captured: String(payment.captured), refunded: String(payment.refunded), refund_pending: String(payment.refundPending),
    provider_payment_id: payment.providerPaymentId, client_secret: payment.clientSecret, intent_open: payment.intentOpen,
    attempts: payment.attempts, answered: payment.answered, failure_code: payment.failureCode, failure_message: payment.failureMessage, action_url: payment.actionUrl,
    disputed: payment.disputed, dispute_id: payment.disputeId, dispute_reason: payment.disputeReason, order_cancelled: payment.orderCancelled, due_time: payment.dueTime,
    version: payment.version, tries: payment.tries, generation: payment.generation, asking: payment.asking,
  };
}

const fromRefundRow = (row: RefundRow): Refund => ({
  refundId: row.refund_id, amount: row.amount, state: row.state, reason: row.reason, providerRefundId: row.provider_refund_id, failureMessage: row.failure_message,
});
const toRefundRow = (refund: Refund, orderId: string): Record<string, unknown> => ({
  refund_id: refund.refundId, order_id: orderId, amount: String(refund.amount), state: refund.state, reason: refund.reason,
  provider_refund_id: refund.providerRefundId, failure_message: refund.failureMessage,
});
const byOrder = (a: Record<string, unknown>, b: Record<string, unknown>): number => (String(a['order_id']) < String(b['order_id']) ? -1 : 1);
