// What is written of payments: new ones, and what facts have made of known ones.
import { type Queryable, rowset, sql } from '@millrace/chassis/database/db';
import { outboxInsert } from '@millrace/chassis/events/outbox';
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

const OPENED = rowset<{ payment: Payment; dueMs: number | null }>('x', {
  payment_id: ['text', ({ payment }) => payment.paymentId],
  order_id: ['text', ({ payment }) => payment.orderId],
  customer_id: ['text', ({ payment }) => payment.customerId],
  amount: ['bigint', ({ payment }) => payment.amount],
  currency: ['text', ({ payment }) => payment.currency],
  payment_method: ['text', ({ payment }) => payment.paymentMethod],
  state: ['text', ({ payment }) => payment.state],
  captured: ['bigint', ({ payment }) => payment.captured],
  attempts: ['int', ({ payment }) => payment.attempts],
  due_time: ['timestamptz', ({ payment }) => payment.dueTime],
  version: ['int', ({ payment }) => payment.version],
  order_cancelled: ['boolean', ({ payment }) => payment.orderCancelled],
  due_ms: ['float8', ({ dueMs }) => dueMs],
});

/** Writes rows that aren't there yet; answers the orders that were new. A concurrent insert of the same order is waited for. */
export async function insertAccounts(tx: Queryable, accounts: Account[], dueMs: (account: Account) => number | null): Promise<Set<string>> {
  const rows = accounts.map((account) => ({ payment: account.payment, dueMs: dueMs(account) }));
  const inserted = await tx.query<{ order_id: string }>(sql`
    INSERT INTO payment (payment_id, order_id, customer_id, amount, currency, payment_method, state, captured, attempts, due_time, version, order_cancelled, next_attempt_time)
    SELECT x.payment_id, x.order_id, x.customer_id, x.amount, x.currency, x.payment_method, x.state, x.captured, x.attempts, x.due_time, x.version, x.order_cancelled,
      now() + x.due_ms * interval '1 ms'
    FROM ${OPENED(rows)} ORDER BY x.order_id
    ON CONFLICT (order_id) DO NOTHING RETURNING order_id`);
  return new Set(inserted.map((row) => row.order_id));
}

const CHANGES = rowset<Change>('x', {
  order_id: ['text', ({ account }) => account.payment.orderId],
  customer_id: ['text', ({ account }) => account.payment.customerId],
  payment_method: ['text', ({ account }) => account.payment.paymentMethod],
  state: ['text', ({ account }) => account.payment.state],
  captured: ['bigint', ({ account }) => account.payment.captured],
  refunded: ['bigint', ({ account }) => account.payment.refunded],
  refund_pending: ['bigint', ({ account }) => account.payment.refundPending],
  provider_payment_id: ['text', ({ account }) => account.payment.providerPaymentId],
  client_secret: ['text', ({ account }) => account.payment.clientSecret],
  intent_open: ['boolean', ({ account }) => account.payment.intentOpen],
  attempts: ['int', ({ account }) => account.payment.attempts],
  answered: ['int', ({ account }) => account.payment.answered],
  failure_code: ['text', ({ account }) => account.payment.failureCode],
  failure_message: ['text', ({ account }) => account.payment.failureMessage],
  action_url: ['text', ({ account }) => account.payment.actionUrl],
  disputed: ['boolean', ({ account }) => account.payment.disputed],
  dispute_id: ['text', ({ account }) => account.payment.disputeId],
  dispute_reason: ['text', ({ account }) => account.payment.disputeReason],
  order_cancelled: ['boolean', ({ account }) => account.payment.orderCancelled],
  due_time: ['timestamptz', ({ account }) => account.payment.dueTime],
  version: ['int', ({ account }) => account.payment.version],
  tries: ['int', ({ account }) => account.payment.tries],
  generation: ['int', ({ account }) => account.payment.generation],
  asking: ['boolean', ({ account }) => account.payment.asking],
  changed: ['boolean', ({ changed }) => changed],
  due_ms: ['float8', ({ dueMs }) => dueMs],
  at_latest: ['boolean', ({ atLatest }) => atLatest],
  lease: ['text', ({ lease }) => lease],
  stamp: ['text', ({ stamp }) => stamp],
});

const REFUNDS = rowset<{ orderId: string; refund: Refund }>('r', {
  refund_id: ['text', ({ refund }) => refund.refundId],
  order_id: ['text', ({ orderId }) => orderId],
  amount: ['bigint', ({ refund }) => refund.amount],
  state: ['text', ({ refund }) => refund.state],
  reason: ['text', ({ refund }) => refund.reason],
  provider_refund_id: ['text', ({ refund }) => refund.providerRefundId],
  failure_message: ['text', ({ refund }) => refund.failureMessage],
});

/**
 * Saves changes with the events that they tell, in one statement; answers the new stamps. A row that has another stamp by now is left alone
 * and not answered. By payment_pkey, in the order of the orders.
 */
export async function saveAccounts(db: Queryable, changes: Change[]): Promise<Map<string, string>> {
  if (changes.length === 0) return new Map();
  const refunds = changes.flatMap(({ account, refunds: changed }) => changed.map((refund) => ({ orderId: account.payment.orderId, refund })));
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
      FROM (SELECT * FROM ${CHANGES(changes)} ORDER BY order_id) AS x
      WHERE p.order_id = x.order_id AND (x.stamp IS NULL OR p.xmin::text = x.stamp)
      RETURNING p.order_id, p.xmin::text AS stamp
    ), given AS (
      INSERT INTO refund (refund_id, order_id, amount, state, reason, provider_refund_id, failure_message, create_time)
      SELECT refund_id, order_id, amount, state, reason, provider_refund_id, failure_message, clock_timestamp()
      FROM ${REFUNDS(refunds)} WHERE order_id IN (SELECT order_id FROM saved)
      ON CONFLICT (refund_id) DO UPDATE SET
        state = EXCLUDED.state, provider_refund_id = EXCLUDED.provider_refund_id, failure_message = EXCLUDED.failure_message, update_time = now()
    ), said AS (${outboxInsert(events, sql`SELECT order_id FROM saved`)})
    SELECT order_id, stamp FROM saved`);
  return new Map(saved.map((row) => [row.order_id, row.stamp]));
}
