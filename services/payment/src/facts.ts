// What can happen to a payment: every answer of the provider, webhook, look-up and event is read into one of these facts. Pure.
import type { Account, Opening, RefundState } from './payment.ts';

export type Failure = { code: string; message: string };

/** The provider's intent as it stood at some moment. `attempt`: the try to confirm that this answers, if it answers one. */
export type IntentFact = {
  kind: 'intent';
  id: string;
  clientSecret: string;
  status: 'open' | 'action' | 'processing' | 'captured' | 'canceled';
  orderId: string;
  amount: bigint;
  currency: string;
  captured: bigint;
  failure?: Failure;
  actionUrl: string;
  attempt?: number;
};

/** The provider's refund; `refundId` is ours, empty when it was made elsewhere. */
export type RefundFact = { kind: 'refund'; id: string; intentId: string; refundId: string; amount: bigint; currency: string; state: RefundState; reason: string; failureMessage: string };
export type DisputeFact = { kind: 'dispute'; id: string; intentId: string; reason: string; closed: boolean };

export type Fact =
  | IntentFact | RefundFact | DisputeFact
  | { kind: 'placed'; order: Opening }
  | { kind: 'order_cancelled' }
  | { kind: 'refund_requested'; refundId: string; amount: bigint; reason: string }
  | { kind: 'attempt'; paymentMethod: string }
  /** The provider refused a call for good: asking again would end the same. */
  | { kind: 'refused'; attempt: number; failure: Failure }
  | { kind: 'refund_refused'; refundId: string; message: string }
  /** A call that has to be made again. `unknown`: it may have had its effect. `burnt`: its key only repeats an error of the provider. */
  | { kind: 'postponed'; unknown: boolean; burnt: boolean; pauseMs: number }
  /** Nothing was made, as far as is known under the keys of this generation. */
  | { kind: 'not_found'; generation: number }
  | { kind: 'closed' }
  | { kind: 'look_up' };

/** A record of the provider that doesn't fit our row: never applied, always reported. */
export type Mismatch = { kind: 'amount' | 'currency' | 'unknown_intent' | 'refund' | 'dispute'; ours: string; theirs: string };

/** Compares a record with our row before anything is done with it. */
export function mismatchOf({ payment, refunds }: Account, fact: Fact): Mismatch | undefined {
  const intentId = fact.kind === 'intent' ? fact.id : fact.kind === 'refund' || fact.kind === 'dispute' ? fact.intentId : payment.providerPaymentId;
  const ours = payment.providerPaymentId;
  if (ours !== '' && intentId !== ours) return { kind: 'unknown_intent', ours, theirs: intentId };
  if (fact.kind === 'intent') {
    if (fact.orderId !== payment.orderId) return { kind: 'unknown_intent', ours: payment.orderId, theirs: fact.orderId };
    if (fact.currency !== payment.currency) return { kind: 'currency', ours: payment.currency, theirs: fact.currency };
    const amount = fact.status === 'captured' ? fact.captured : fact.amount;
    if (amount !== payment.amount) return { kind: 'amount', ours: String(payment.amount), theirs: String(amount) };
  }
  if (fact.kind === 'refund') {
    const known = refunds.find(({ refundId, providerRefundId }) => providerRefundId === fact.id || (providerRefundId === '' && refundId === fact.refundId));
    if (fact.currency !== payment.currency) return { kind: 'currency', ours: payment.currency, theirs: fact.currency };
    if (known && known.amount !== fact.amount) return { kind: 'refund', ours: String(known.amount), theirs: String(fact.amount) };
    const others = refunds.reduce((sum, { state, amount, providerRefundId }) => (state === 'SUCCEEDED' && providerRefundId !== fact.id ? sum + amount : sum), 0n);
    if (fact.state === 'SUCCEEDED' && others + fact.amount > payment.amount) return { kind: 'refund', ours: String(payment.amount - others), theirs: String(fact.amount) };
  }
  return undefined;
}
