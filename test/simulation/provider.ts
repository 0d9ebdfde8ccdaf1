// The payment provider: Stripe's intents, refunds, disputes, webhooks and idempotency keys, as far as payment can see them.
// It speaks Stripe's objects and errors, so that payment's own translation is under test too.
import { Stripe } from 'stripe';
import type { Fact } from '../../services/payment/src/facts.ts';
import type { Account, Payment, Step } from '../../services/payment/src/payment.ts';
import { disputeFact, factsOfError, intentFact, refundFact } from '../../services/payment/src/stripe-facts.ts';
import type { ProviderRecord } from '../../services/payment/src/stripe.ts';
import { newsOf, type News } from '../../services/payment/src/take-webhook.ts';
import { type Accident, HOUR, MINUTE, type Stage } from './stage.ts';

type Intent = {
  id: string; orderId: string; paymentId: string; amount: number; method: string; created: number; received: number; refunded: number;
  status: 'requires_payment_method' | 'requires_action' | 'processing' | 'succeeded' | 'canceled';
  failure: boolean;
};
type Refund = { id: string; refundId: string; intent: Intent; amount: number; status: 'pending' | 'succeeded' | 'failed' };
type Dispute = { id: string; intent: Intent; status: 'needs_response' | 'won' };
/** The first outcome of a key, as it was: later changes of the object don't show in it. */
type Outcome = { print: string; at: number; facts?: Fact[]; error?: ErrorFields };
type ErrorFields = { statusCode: number; type: string; code?: string; message?: string; payment_intent?: Stripe.PaymentIntent };
export type Hook = { id: string; news: News; delivered: boolean };

/** What the buyer's card does. */
export const METHODS = ['pm_card_visa', 'pm_card_chargeDeclined', 'pm_card_visa', 'pm_card_chargeDeclined', 'pm_card_authenticationRequired', 'pm_usBankAccount', 'pm_card_pendingRefund', ''] as const;
const KEY_LIFE_MS = 24 * HOUR;
/** What payment is told about the search; the scene's is at most that. */
const STRIPE_SEARCH_LAG_MS = MINUTE;

export type Provider = ReturnType<typeof createProvider>;

export function createProvider(stage: Stage) {
  const intents: Intent[] = [];
  const refunds: Refund[] = [];
  const disputes: Dispute[] = [];
  const keys = new Map<string, Outcome>();
  const hooks: Hook[] = [];
  let captures: Intent[] = [];

  function perform(step: Step, account: Account, accident: Accident): Fact[] {
    try {
      return take(step, account, accident);
    } catch (error) {
      return factsOfError(error, step, account, STRIPE_SEARCH_LAG_MS);
    }
  }

  function take(step: Step, account: Account, accident: Accident): Fact[] {
    const { payment } = account;
    if (step.do === 'close') return [{ kind: 'closed' }];
    if (step.do === 'nothing') return [];
    if (accident === 'unreached') throw noAnswer();
    if (accident === 'busy') throw failure({ statusCode: 429, type: 'invalid_request_error', code: 'rate_limit' });
    if (step.do === 'find' || step.do === 'look_up') {
      if (accident === 'error' || accident === 'error_after') throw failure({ statusCode: 500, type: 'api_error' });
      const facts = step.do === 'find' ? find(account) : lookUp(payment.providerPaymentId);
      if (accident === 'lost') throw noAnswer();
      return facts;
    }
    const key = stage.rules.payment.idempotencyKey(step, payment);
    const print = step.do === 'refund' ? `${step.do} ${payment.providerPaymentId} ${step.refund.amount}` : `${step.do} ${payment.providerPaymentId} ${step.do === 'confirm' || step.do === 'pay' ? payment.paymentMethod : ''}`;
    const known = keys.get(key);
    if (known && stage.now - known.at < KEY_LIFE_MS) {
      if (known.print !== print) throw failure({ statusCode: 400, type: 'idempotency_error' });
      if (accident === 'lost') throw noAnswer();
      if (known.error) throw failure(known.error, true);
      return known.facts ?? [];
    }
    const outcome = accident === 'error' ? {} : act(step, account);
    const stored: Outcome = { print, at: stage.now, ...outcome, ...((accident === 'error' || accident === 'error_after') && { error: { statusCode: 500, type: 'api_error' } }) };
    keys.set(key, stored);
    if (accident === 'lost') throw noAnswer();
    if (stored.error) throw failure(stored.error);
    return stored.facts ?? [];
  }

  function act(step: Step, { payment }: Account): Pick<Outcome, 'facts' | 'error'> {
    if (step.do === 'create') return { facts: [intentFact(rendered(create(payment)))] };
    if (step.do === 'pay') return confirm(create(payment), payment);
    const intent = intents.find(({ id }) => id === payment.providerPaymentId);
    if (!intent) return { error: { statusCode: 404, type: 'invalid_request_error', code: 'resource_missing' } };
    if (step.do === 'confirm') {
      return intent.status === 'requires_payment_method' || intent.status === 'requires_action' ? confirm(intent, payment) : unexpected(intent);
    }
    if (step.do === 'cancel') return cancel(intent) ? { facts: [intentFact(rendered(intent))] } : unexpected(intent);
    if (step.do !== 'refund') return {};
    return refund(intent, step.refund.refundId, Number(step.refund.amount));
  }

  function create({ orderId, paymentId, amount }: Payment): Intent {
    const intent: Intent = { id: `pi_${intents.length + 1}`, orderId, paymentId, amount: Number(amount), method: '', created: stage.now, received: 0, refunded: 0, status: 'requires_payment_method', failure: false };
    intents.push(intent);
    return intent;
  }

  function confirm(intent: Intent, { paymentMethod, attempts }: Payment): Pick<Outcome, 'facts' | 'error'> {
    charge(intent, paymentMethod);
    if (intent.failure) return { error: { statusCode: 402, type: 'card_error', code: 'card_declined', payment_intent: rendered(intent) } };
    return { facts: [intentFact(rendered(intent), attempts)] };
  }

  function charge(intent: Intent, method: string): void {
    Object.assign(intent, { method, failure: false });
    if (method === 'pm_card_authenticationRequired') move(intent, 'requires_action', 'payment_intent.requires_action');
    else if (method === 'pm_usBankAccount') move(intent, 'processing', 'payment_intent.processing');
    else if (method === 'pm_card_chargeDeclined') decline(intent);
    else capture(intent);
  }

  function capture(intent: Intent): void {
    intent.received = intent.amount;
    captures = [...captures, intent];
    stage.note(() => `the provider captures ${intent.amount} for ${intent.orderId} (${intent.id})`);
    move(intent, 'succeeded', 'payment_intent.succeeded');
  }

  function decline(intent: Intent): void {
    intent.failure = true;
    move(intent, 'requires_payment_method', 'payment_intent.payment_failed');
  }

  function cancel(intent: Intent): boolean {
    if (intent.status !== 'requires_payment_method' && intent.status !== 'requires_action') return false;
    move(intent, 'canceled', 'payment_intent.canceled');
    return true;
  }

  function move(intent: Intent, status: Intent['status'], type: string): void {
    intent.status = status;
    tell(type, rendered(intent));
  }

  function refund(intent: Intent, refundId: string, amount: number): Pick<Outcome, 'facts' | 'error'> {
    const refused = { statusCode: 400, type: 'invalid_request_error' };
    if (disputes.some((dispute) => dispute.intent === intent && dispute.status === 'needs_response')) return { error: { ...refused, code: 'charge_disputed' } };
    if (intent.status !== 'succeeded' || intent.refunded + amount > intent.received) return { error: { ...refused, code: 'charge_already_refunded' } };
    const made: Refund = { id: `re_${refunds.length + 1}`, refundId, intent, amount, status: intent.method === 'pm_card_pendingRefund' ? 'pending' : 'succeeded' };
    refunds.push(made);
    intent.refunded += amount;
    stage.note(() => `the provider gives back ${amount} for ${intent.orderId} (${refundId}, ${made.status})`);
    tell('refund.created', renderedRefund(made));
    return { facts: [refundFact(renderedRefund(made))] };
  }

  const find = (account: Account): Fact[] => {
    const { orderId, paymentId } = account.payment;
    const found = intents.find((intent) => intent.orderId === orderId && intent.paymentId === paymentId && intent.status !== 'canceled' && intent.created + stage.scene.searchLagMs <= stage.now);
    return found ? [intentFact(rendered(found))] : stage.rules.payment.nothingFound(account, STRIPE_SEARCH_LAG_MS);
  };

  function lookUp(intentId: string): Fact[] {
    const intent = intents.find(({ id }) => id === intentId);
    if (!intent) throw failure({ statusCode: 404, type: 'invalid_request_error', code: 'resource_missing' });
    const fact = intentFact(rendered(intent));
    return fact.status === 'captured' ? [fact, ...refunds.filter((refund) => refund.intent === intent).map((refund) => refundFact(renderedRefund(refund)))] : [fact];
  }

  function tell(type: string, object: object): void {
    const id = `evt_${hooks.length + 1}`;
    const news = newsOf({ id, type, data: { object } } as unknown as Stripe.Event);
    if (news) hooks.push({ id, news, delivered: false });
  }

  return {
    perform, hooks,
    intents: () => intents,
    captured: (orderId: string) => captures.filter((intent) => intent.orderId === orderId),
    refunded: (orderId: string) => refunds.filter(({ intent, status }) => intent.orderId === orderId && status === 'succeeded'),
    disputed: (orderId: string) => disputes.some(({ intent, status }) => intent.orderId === orderId && status === 'needs_response'),
    /** All records, as the reconciler lists them. */
    records(): ProviderRecord[] {
      return [
        ...intents.map((intent) => intentFact(rendered(intent))),
        ...refunds.map((refund) => refundFact(renderedRefund(refund))),
        ...disputes.map((dispute) => disputeFact(renderedDispute(dispute))),
      ];
    },
    cancelStray(intentId: string): void {
      const intent = intents.find(({ id }) => id === intentId);
      if (intent) cancel(intent);
    },
    /** What waits for a bank: an authentication, a transfer, a refund under way. */
    atTheBank: () => intents.filter(({ status }) => status === 'requires_action' || status === 'processing').length + refunds.filter(({ status }) => status === 'pending').length,
    /** A bank answers. */
    answer(pick: number, well: boolean): void {
      const waiting = [...intents.filter(({ status }) => status === 'requires_action' || status === 'processing'), ...refunds.filter(({ status }) => status === 'pending')];
      const one = waiting[pick % waiting.length];
      if (one === undefined) return;
      stage.note(() => `a bank says ${well ? 'yes' : 'no'} to ${one.id}`);
      if ('refundId' in one) {
        one.status = well ? 'succeeded' : 'failed';
        if (!well) one.intent.refunded -= one.amount;
        tell(well ? 'refund.updated' : 'refund.failed', renderedRefund(one));
      } else if (well) capture(one);
      else decline(one);
    },
    dispute(pick: number): void {
      const paid = intents.filter((intent) => intent.status === 'succeeded' && intent.refunded === 0 && !disputes.some((dispute) => dispute.intent === intent));
      const intent = paid[pick % paid.length];
      if (intent === undefined) return;
      const dispute: Dispute = { id: `dp_${disputes.length + 1}`, intent, status: 'needs_response' };
      disputes.push(dispute);
      stage.note(() => `the buyer of ${intent.orderId} disputes the charge`);
      tell('charge.dispute.created', renderedDispute(dispute));
    },
    closeDispute(): boolean {
      const dispute = disputes.find(({ status }) => status === 'needs_response');
      if (dispute === undefined) return false;
      dispute.status = 'won';
      stage.note(() => `the dispute of ${dispute.intent.orderId} is won`);
      tell('charge.dispute.closed', renderedDispute(dispute));
      return true;
    },
  };
}

const unexpected = (intent: Intent): Pick<Outcome, 'error'> => ({
  error: { statusCode: 400, type: 'invalid_request_error', code: 'payment_intent_unexpected_state', payment_intent: rendered(intent) },
});

function failure(error: ErrorFields, replayed = false): Error {
  return Stripe.errors.StripeError.generate({ ...error, headers: replayed ? { 'idempotent-replayed': 'true' } : {} } as never);
}

const noAnswer = (): Error => new Stripe.errors.StripeConnectionError({ message: 'no answer' });

function rendered({ id, orderId, paymentId, amount, received, status, failure: failed }: Intent): Stripe.PaymentIntent {
  return {
    id, client_secret: `${id}_secret`, metadata: { order_id: orderId, payment_id: paymentId }, amount, currency: 'eur', amount_received: received, status,
    next_action: status === 'requires_action' ? { redirect_to_url: { url: `https://bank.example/${id}` } } : null,
    last_payment_error: failed ? { code: 'card_declined', message: 'no' } : null,
  } as unknown as Stripe.PaymentIntent;
}

function renderedRefund({ id, refundId, intent, amount, status }: Refund): Stripe.Refund {
  return { id, payment_intent: intent.id, metadata: { refund_id: refundId, order_id: intent.orderId }, amount, currency: 'eur', status, reason: null } as unknown as Stripe.Refund;
}

function renderedDispute({ id, intent, status }: Dispute): Stripe.Dispute {
  return { id, payment_intent: intent.id, reason: 'fraudulent', status } as unknown as Stripe.Dispute;
}
