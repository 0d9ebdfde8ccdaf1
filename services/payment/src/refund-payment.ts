// Gives money back: asked for by order's event or by an operator's call. The runner then asks the provider.
import { hash } from 'node:crypto';
import { refuse } from '@millrace/chassis/api/errors';
import { crashPoint } from '@millrace/chassis/crash-point';
import type { Tx } from '@millrace/chassis/database/db';
import { IllegalTransitionError } from './payment.ts';
import { settle } from './settle.ts';
import { lockAccounts } from './store.ts';

export type AskedRefund = { orderId: string; refundId: string; amount: bigint; currency: string; reason: string };

/** Order has decided: what is more than is left is refused, and told. */
export async function openRefunds(tx: Tx, refunds: AskedRefund[], wake: () => void): Promise<void> {
  const settled = await settle(tx, refunds.map(({ orderId, refundId, amount, reason }) => ({ orderId, facts: [{ kind: 'refund_requested', refundId, amount, reason }] })), wake);
  crashPoint('refund_requested.settled');
  refunds.forEach(({ orderId, refundId, amount, currency }, i) => {
    const payment = settled[i]?.account.payment;
    if (!payment) throw new Error(`refund ${refundId}: order ${orderId} has no payment`);
    if (payment.currency !== currency || amount <= 0n) throw new Error(`refund ${refundId}: ${amount} ${currency} can't be given back of a payment in ${payment.currency}`);
  });
}

export type RefundCall = { orderId: string; amount?: { minorUnits: bigint; currencyCode: string } | undefined; reason: string; caller: string; requestId: string };

/** Opens a refund of an amount, or of all that is left; answers its id. */
export async function refundPayment(tx: Tx, { orderId, amount: asked, reason, caller, requestId }: RefundCall, wake: () => void): Promise<string> {
  const account = (await lockAccounts(tx, [orderId])).get(orderId);
  if (!account) throw refuse('NOT_FOUND', `there is no payment of order ${orderId}`);
  const { payment } = account;
  if (payment.state !== 'SUCCEEDED') throw new IllegalTransitionError(payment.state, 'only a captured payment can be refunded');
  const left = payment.captured - payment.refunded - payment.refundPending;
  if (asked && asked.currencyCode !== payment.currency) throw refuse('INVALID_FIELD', `amount.currency_code must be ${payment.currency}, the payment's`);
  const amount = asked?.minorUnits ?? left;
  if (amount <= 0n || amount > left) throw refuse('REFUND_TOO_LARGE', 'that is more than is left to refund', { refundable: String(left), currency: payment.currency });
  const refundId = `ref_${hash('sha256', `${orderId}\n${caller}\n${requestId}`).slice(0, 26)}`;
  await settle(tx, [{ orderId, facts: [{ kind: 'refund_requested', refundId, amount, reason }] }], wake);
  return refundId;
}

