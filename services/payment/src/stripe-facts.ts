// Stripe's objects and errors, read into facts. Sources: docs.stripe.com/payments/paymentintents/lifecycle, /api/errors, /api/idempotent_requests.
import { errorInfo } from '@millrace/chassis/api/errors';
import { Stripe } from 'stripe';
import type { DisputeFact, Fact, IntentFact, RefundFact } from './facts.ts';
import type { Account, Step } from './payment.ts';

/** An error of the caller's or operator's making (a wrong key, a disputed charge) is asked about again this rarely. */
const REFUSED_PAUSE_MS = 300_000;

export function intentFact(intent: Stripe.PaymentIntent, attempt?: number): IntentFact {
  const failure = intent.last_payment_error;
  return {
    kind: 'intent',
    id: intent.id,
    clientSecret: intent.client_secret ?? '',
    status: statusOf(intent.status),
    orderId: intent.metadata['order_id'] ?? '',
    amount: BigInt(intent.amount),
    currency: intent.currency.toUpperCase(),
    captured: BigInt(intent.amount_received),
    actionUrl: intent.next_action?.redirect_to_url?.url ?? '',
    ...(failure && { failure: { code: failure.code ?? failure.type, message: failure.message ?? '' } }),
    ...(attempt !== undefined && { attempt }),
  };
}

function statusOf(status: Stripe.PaymentIntent['status']): IntentFact['status'] {
  switch (status) {
    case 'succeeded': return 'captured';
    case 'canceled': return 'canceled';
    case 'processing':
    case 'requires_capture': return 'processing';
    case 'requires_action': return 'action';
    default: return 'open';
  }
}

export function refundFact(refund: Stripe.Refund): RefundFact {
  const state = refund.status === 'succeeded' ? 'SUCCEEDED' : refund.status === 'failed' || refund.status === 'canceled' ? 'FAILED' : 'PENDING';
  return {
    kind: 'refund',
    id: refund.id,
    intentId: idOf(refund.payment_intent),
    refundId: refund.metadata?.['refund_id'] ?? '',
    amount: BigInt(refund.amount),
    currency: refund.currency.toUpperCase(),
    state,
    reason: refund.reason ?? '',
    failureMessage: state === 'FAILED' ? (refund.failure_reason ?? refund.status ?? '') : '',
  };
}

export function disputeFact(dispute: Stripe.Dispute): DisputeFact {
  const closed = ['won', 'lost', 'warning_closed', 'prevented'].includes(dispute.status);
  return { kind: 'dispute', id: dispute.id, intentId: idOf(dispute.payment_intent), reason: dispute.reason, closed };
}

export const idOf = (reference: string | { id: string } | null | undefined): string => (typeof reference === 'string' ? reference : (reference?.id ?? ''));

/** What a search tells that finds nothing: as long as it may not show yet what was made under a key that is spent, nothing. */
export function nothingFound({ payment, quietMs }: Account, searchLagMs: number): Fact[] {
  const soonest = searchLagMs - quietMs;
  return payment.generation > 0 && soonest > 0 ? [{ kind: 'postponed', unknown: true, burnt: false, pauseMs: soonest }] : [{ kind: 'not_found', generation: payment.generation }];
}

/**
 * What a failed call tells: declined or refused (known), not done (to be made again), or unknown (to be looked at).
 * `searchLagMs`: how late a search may show what was made.
 */
export function factsOfError(error: unknown, step: Step, { payment, overdue }: Account, searchLagMs: number): Fact[] {
  const later = (unknown: boolean, pauseMs = 0, burnt = false): Fact[] => [{ kind: 'postponed', unknown, burnt, pauseMs }];
  if (errorInfo(error)?.reason === 'OVERLOADED') return later(payment.asking);
  if (!(error instanceof Stripe.errors.StripeError)) throw error;
  const reads = step.do === 'find' || step.do === 'look_up';
  const { statusCode = 0, payment_intent: intent, code } = error;
  const headers = error.headers ?? {};
  // What may have been made and paid is searched for no sooner than it can be found.
  const burnt = later(true, step.do === 'pay' ? searchLagMs : 0, true);

  // Not begun: too fast, the same key in flight, our own key wrong.
  if (statusCode === 429 || statusCode === 409) return later(payment.asking, 1_000 * (Number(headers['retry-after']) || 0));
  if (statusCode === 401 || (statusCode === 403 && !reads)) return later(payment.asking, REFUSED_PAUSE_MS / 10);
  // No answer, or an error of Stripe's own, which is stored under the key and from then on repeated: only such a repeat is sure to be over.
  if (statusCode === 0 || statusCode >= 500) return !reads && headers['idempotent-replayed'] === 'true' ? burnt : later(reads ? payment.asking : true);
  if (error instanceof Stripe.errors.StripeIdempotencyError) return burnt;

  // Where nothing can be searched for, the old key finds it; without that key nothing more is made, and the buyer's time runs out.
  if (step.do === 'find') return payment.generation > 0 && !payment.orderCancelled && !overdue ? later(true, REFUSED_PAUSE_MS) : [{ kind: 'not_found', generation: payment.generation }];
  if (step.do === 'look_up') return later(false, REFUSED_PAUSE_MS);
  if (step.do === 'refund') return [{ kind: 'refund_refused', refundId: step.refund.refundId, message: error.message }, ...later(true, REFUSED_PAUSE_MS, true)];
  const failure = { code: code ?? error.type, message: error.message };
  // The error carries the intent as it stands: declined, or in another state than we thought.
  if (intent) {
    const fact = { failure, ...intentFact(intent, step.do === 'pay' || step.do === 'confirm' ? payment.attempts : undefined) };
    // A bank is at it: it can't be closed now, and the same key would go on saying so when it can.
    return step.do === 'cancel' && fact.status === 'processing' ? [fact, ...later(true, 0, true)] : [fact];
  }
  if (step.do === 'cancel' && code === 'resource_missing') return [{ kind: 'intent', id: payment.providerPaymentId, clientSecret: '', status: 'canceled', orderId: payment.orderId, amount: payment.amount, currency: payment.currency, captured: 0n, actionUrl: '' }];
  if (step.do === 'cancel') return later(true, REFUSED_PAUSE_MS, true);
  // Nothing was made. The buyer shall have an intent to pay with another method: made first, and then confirmed and refused.
  if (step.do === 'pay') return later(false, 0, true);
  return [{ kind: 'refused', attempt: payment.attempts, failure }];
}
