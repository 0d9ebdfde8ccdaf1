// One attempt to take the money of an intent, and what Stripe then tells: the charge, the events, the ledger.
import { randomText } from '../store/ids.ts';
import type { CardError, Charge, Intent, LedgerRow } from '../store/records.ts';
import { type Act, type Change, seconds, tell } from './call.ts';
import type { ErrorFields } from './errors.ts';
import { renderCardError } from './render.ts';
import { AUTHENTICATION_FAILED, AUTHENTICATION_REQUIRED, type Decline, GENERIC_DECLINE, TEST_METHODS, type TestMethod } from './test-methods.ts';

const SETTLE_AFTER_MS = 1_000; // a bank payment takes days; nobody wants to wait for a stand-in

export interface Attempted {
  change: Change;
  error?: ErrorFields;
}

export interface ConfirmOptions {
  /** The customer is not there to authenticate. */
  offSession: boolean;
}

export function confirm(act: Act, intent: Intent, options: ConfirmOptions): Attempted {
  const method = methodOf(intent);
  const fresh = { ...intent, error: undefined };
  if (act.decline) return refuse(act, fresh, GENERIC_DECLINE);
  if (method.authenticates) {
    if (options.offSession) return refuse(act, fresh, AUTHENTICATION_REQUIRED);
    return { change: { intent: { ...fresh, status: 'requires_action' }, events: [tell(act, 'payment_intent.requires_action', 'intent')] } };
  }
  return take(act, fresh, method);
}

/** The customer has answered their bank. */
export function authenticate(act: Act, intent: Intent, succeeded: boolean): Attempted {
  if (!succeeded) return refuse(act, intent, AUTHENTICATION_FAILED);
  return take(act, intent, methodOf(intent));
}

/** The outcome of a payment that was processing. */
export function settle(act: Act, intent: Intent): Attempted {
  const method = methodOf(intent);
  const due = { ...intent, settleAt: undefined };
  return method.decline ? refuse(act, due, method.decline) : succeed(act, due, method);
}

export function capture(act: Act, intent: Intent, charge: Charge, amount: number): Change {
  return {
    intent: { ...intent, status: 'succeeded', received: amount },
    charge: { ...charge, captured: amount },
    events: [tell(act, 'payment_intent.succeeded', 'intent')],
    ledger: [ledgerRow('captured', intent, amount)],
  };
}

export function ledgerRow(type: LedgerRow['type'], intent: Intent, amount: number): LedgerRow {
  return { type, payment_intent: intent.id, order_id: intent.metadata['order_id'] ?? null, amount, currency: intent.currency };
}

function take(act: Act, intent: Intent, method: TestMethod): Attempted {
  if (method.processes) {
    const processing: Intent = { ...intent, status: 'processing', settleAt: act.at + SETTLE_AFTER_MS };
    return { change: { intent: processing, events: [tell(act, 'payment_intent.processing', 'intent')] } };
  }
  return method.decline ? refuse(act, intent, method.decline) : succeed(act, intent, method);
}

function succeed(act: Act, intent: Intent, method: TestMethod): Attempted {
  const held = intent.capture === 'manual';
  const charge = newCharge(act, intent, { status: 'succeeded', captured: held ? 0 : intent.amount, disputed: method.dispute !== undefined });
  const change: Change = {
    intent: { ...intent, status: held ? 'requires_capture' : 'succeeded', received: charge.captured, charges: [...intent.charges, charge.id] },
    charge,
    events: [tell(act, held ? 'payment_intent.amount_capturable_updated' : 'payment_intent.succeeded', 'intent')],
    ledger: held ? undefined : [ledgerRow('captured', intent, intent.amount)],
  };
  if (method.dispute && !held) {
    const { amount, currency, id } = intent;
    change.dispute = {
      id: act.store.disputes.newId(), intent: id, charge: charge.id, created: seconds(act), amount, currency, reason: method.dispute, status: 'needs_response',
    };
    change.events?.push(tell(act, 'charge.dispute.created', 'dispute'));
    change.ledger?.push(ledgerRow('disputed', intent, amount));
  }
  return { change };
}

function refuse(act: Act, intent: Intent, decline: Decline): Attempted {
  const failure: CardError = { ...decline, method: intent.method, testMethod: intent.testMethod };
  const reachedBank = decline !== AUTHENTICATION_FAILED;
  const charge = reachedBank ? newCharge(act, intent, { status: 'failed', captured: 0, disputed: false, failure }) : undefined;
  const error: CardError = { ...failure, charge: charge?.id };
  const after: Intent = {
    ...intent,
    status: 'requires_payment_method',
    testMethod: undefined,
    method: undefined,
    error,
    charges: charge ? [...intent.charges, charge.id] : intent.charges,
  };
  return {
    change: {
      intent: after,
      charge,
      events: [tell(act, 'payment_intent.payment_failed', 'intent')],
      ledger: [ledgerRow('declined', intent, intent.amount)],
    },
    error: renderCardError(error),
  };
}

function newCharge(act: Act, intent: Intent, outcome: Pick<Charge, 'status' | 'captured' | 'disputed' | 'failure'>): Charge {
  return {
    id: act.store.charges.newId(),
    intent: intent.id,
    created: seconds(act),
    amount: intent.amount,
    currency: intent.currency,
    refunded: 0,
    metadata: intent.metadata,
    testMethod: intent.testMethod ?? '',
    method: intent.method ?? '',
    ...outcome,
  };
}

function methodOf(intent: Intent): TestMethod {
  const method = TEST_METHODS.get(intent.testMethod ?? '');
  if (!method) throw new Error(`intent ${intent.id} has no payment method to charge`);
  return method;
}

export const newMethodId = () => `pm_1${randomText(23)}`;
