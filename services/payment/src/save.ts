// What is written of payments: new ones, and what facts have made of known ones.
import { type Queryable, sql } from '@millrace/chassis/db';
import { outboxInsert } from '@millrace/chassis/outbox';
import type { Told } from './apply.ts';
import type { Account, Payment, Refund } from './payment.ts';
import { LEASE } from './store.ts';
import { outgoing } from './tell.ts';

/**
 * `changed`: more than our own bookkeeping. `dueMs`: when it is looked at again, null for never. `lease`: what becomes of the worker's hold on it.
 * `stamp`: the version that it was decided on, when nobody has locked it.
 */
export type Change = {
  account: Account; refunds: Refund[]; told: Told[]; changed: boolean; dueMs: number | null; atLatest: boolean;
  lease: 'untouched' | 'extended' | 'released'; stamp: string | null;
};

/** Writes rows that aren't there yet; answers the orders that were new. A concurrent insert of the same order is waited for. */
export async function insertAccounts(tx: Queryable, accounts: Account[], dueMs: (account: Account) => number | null): Promise<Set<string>> {
  const rows = accounts.map((account) => ({ ...toRow(account.payment), due_ms: dueMs(account) })).sort(byOrder);
  const inserted = await tx.query<{ order_id: string }>(sql`
    INSERT INTO payment (payment_id, order_id, customer_id, amount, currency, payment_method, state, captured, attempts, due_time, version, order_cancelled, next_attempt_time)
    SELECT x.payment_id, x.order_id, x.customer_id, x.amount, x.currency, x.payment_method, x.state, x.captured, x.attempts, x.due_time, x.version, x.order_cancelled,
      now() + x.due_ms * interval '1 ms'
    FROM json_to_recordset(${JSON.stringify(rows)}) AS x (
      payment_id text, order_id text, customer_id text, amount bigint, currency text, payment_method text, state text, captured bigint, attempts int, due_time timestamptz, version int,
      order_cancelled boolean, due_ms float8)
    ON CONFLICT (order_id) DO NOTHING RETURNING order_id`);
  return new Set(inserted.map((row) => row.order_id));
}

/**
 * Saves changes with the events that they tell, in one statement; answers the new stamps. A row that has another stamp by now is left alone
 * and not answered. By payment_order_id_key: the ids as an array, because a join alone could be planned as a reading of all payments.
 */
export async function saveAccounts(db: Queryable, changes: Change[]): Promise<Map<string, string>> {
  if (changes.length === 0) return new Map();
  const rows = changes.map(({ account, changed, dueMs, atLatest, lease, stamp }) => ({ ...toRow(account.payment), changed, due_ms: dueMs, at_latest: atLatest, lease, stamp }));
  const refunds = changes.flatMap(({ account, refunds: changed }) => changed.map((refund) => toRefundRow(refund, account.payment.orderId)));
  const events = changes.flatMap(({ told }) => told.map(outgoing));
  const saved = await db.query<{ order_id: string; stamp: string }>(sql`
    WITH saved AS (
      UPDATE payment p SET
        customer_id = x.customer_id, payment_method = x.payment_method, state = x.state, captured = x.captured, refunded = x.refunded, refund_pending = x.refund_pending,
        provider_payment_id = x.provider_payment_id, client_secret = x.client_secret, intent_open = x.intent_open, attempts = x.attempts, answered = x.answered,
        failure_code = x.failure_code, failure_message = x.failure_message, action_url = x.action_url,
        disputed = x.disputed, dispute_id = x.dispute_id, dispute_reason = x.dispute_reason,
        order_cancelled = x.order_cancelled, due_time = x.due_time, version = x.version, tries = x.tries, generation = x.generation, asking = x.asking,
        update_time = CASE WHEN x.changed THEN now() ELSE p.update_time END,
        lease_until = CASE x.lease WHEN 'extended' THEN now() + ${LEASE}::interval WHEN 'untouched' THEN p.lease_until END,
        next_attempt_time = CASE
          WHEN x.due_ms IS NULL THEN NULL
          ELSE LEAST(
            now() + x.due_ms * interval '1 ms',
            CASE WHEN x.at_latest THEN p.next_attempt_time END,
            CASE WHEN x.due_time > now() AND x.state NOT IN ('SUCCEEDED', 'CANCELLED') THEN x.due_time END)
          END
      FROM json_to_recordset(${JSON.stringify(rows)}) AS x (
        order_id text, customer_id text, payment_method text, state text, captured bigint, refunded bigint, refund_pending bigint,
        provider_payment_id text, client_secret text, intent_open boolean, attempts int, answered int, failure_code text, failure_message text, action_url text,
        disputed boolean, dispute_id text, dispute_reason text, order_cancelled boolean, due_time timestamptz, version int, tries int, generation int, asking boolean,
        changed boolean, due_ms float8, at_latest boolean, lease text, stamp text)
      WHERE p.order_id = x.order_id AND p.order_id = ANY(${changes.map(({ account }) => account.payment.orderId)}) AND (x.stamp IS NULL OR p.xmin::text = x.stamp)
      RETURNING p.order_id, p.xmin::text AS stamp
    ), given AS (
      INSERT INTO refund (refund_id, order_id, amount, state, reason, provider_refund_id, failure_message, create_time)
      SELECT refund_id, order_id, amount, state, reason, provider_refund_id, failure_message, clock_timestamp()
      FROM json_populate_recordset(NULL::refund, ${JSON.stringify(refunds)}) WHERE order_id IN (SELECT order_id FROM saved)
      ON CONFLICT (refund_id) DO UPDATE SET
        state = EXCLUDED.state, provider_refund_id = EXCLUDED.provider_refund_id, failure_message = EXCLUDED.failure_message, update_time = now()
    ), said AS (${outboxInsert(events, sql`SELECT order_id FROM saved`)})
    SELECT order_id, stamp FROM saved`);
  return new Map(saved.map((row) => [row.order_id, row.stamp]));
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

const toRefundRow = (refund: Refund, orderId: string): Record<string, unknown> => ({
  refund_id: refund.refundId, order_id: orderId, amount: String(refund.amount), state: refund.state, reason: refund.reason,
  provider_refund_id: refund.providerRefundId, failure_message: refund.failureMessage,
});
const byOrder = (a: Record<string, unknown>, b: Record<string, unknown>): number => (String(a['order_id']) < String(b['order_id']) ? -1 : 1);
