// The steps of an intent beside its confirmation: cancel, capture, the customer's authentication, the settling of a bank payment.
import type { Intent } from '../store/records.ts';
import { authenticate, capture, ledgerRow, settle } from './attempt.ts';
import { type Act, type Call, type Change, type Result, seconds, tell } from './call.ts';
import { badParam } from './errors.ts';
import { unexpectedState } from './intent-rules.ts';
import { choice, integer, onlyKnown } from './params.ts';
import { find } from './payment-intents.ts';

export function cancel(call: Call): Result {
  onlyKnown(call.params, new Set(['cancellation_reason', 'expand']));
  const cancelReason = choice(call.params, 'cancellation_reason', ['duplicate', 'fraudulent', 'requested_by_customer', 'abandoned']);
  const before = find(call);
  const error = unexpectedState(before, 'cancel');
  if (error) return { change: { intent: before }, status: 400, error };
  const intent: Intent = { ...before, status: 'canceled', canceledAt: seconds(call), cancelReason };
  const change: Change = {
    intent,
    events: [tell(call, 'payment_intent.canceled', 'intent')],
    ledger: [ledgerRow('canceled', intent, intent.amount)],
  };
  return { change, status: 200, on: 'intent' };
}

export function captureIntent(call: Call): Result {
  onlyKnown(call.params, new Set(['amount_to_capture', 'expand', 'metadata', 'final_capture', 'statement_descriptor', 'statement_descriptor_suffix']));
  const before = find(call);
  const error = unexpectedState(before, 'capture');
  if (error) return { change: { intent: before }, status: 400, error };
  const amount = integer(call.params, 'amount_to_capture', { least: 1, most: Number.MAX_SAFE_INTEGER }) ?? before.amount;
  if (amount > before.amount) {
    throw badParam('amount_to_capture', 'amount_too_large', `The payment could not be captured because the requested capture amount is greater than the amount you can capture for this charge.`);
  }
  const charge = call.store.charges.get(before.charges.at(-1) ?? '');
  if (!charge) throw new Error(`intent ${before.id} has no charge to capture`);
  return { change: capture(call, before, charge, amount), status: 200, on: 'intent' };
}

/** The customer answers their bank; undefined when the intent does not wait for that. */
export function answerBank(act: Act, intent: Intent, succeeded: boolean): Change | undefined {
  if (unexpectedState(intent, 'authenticate')) return undefined;
  return authenticate(act, intent, succeeded).change;
}

/** What time brings to a payment or a refund that was under way. */
export function settleDue(act: Act, id: string): Change | undefined {
  const intent = act.store.intents.get(id);
  if (intent?.status === 'processing') return settle(act, intent).change;
  const refund = act.store.refunds.get(id);
  if (refund?.status !== 'pending') return undefined;
  const paid = act.store.intents.get(refund.intent);
  const { settleAt: _due, settleTo: status = 'succeeded', ...rest } = refund;
  const events = [tell(act, 'refund.updated', 'refund')];
  if (status === 'failed') {
    const charge = act.store.charges.get(refund.charge);
    events.push(tell(act, 'refund.failed', 'refund'));
    return { refund: { ...rest, status }, charge: charge && { ...charge, refunded: charge.refunded - refund.amount }, events };
  }
  return { refund: { ...rest, status }, events, ledger: paid && [ledgerRow('refunded', paid, refund.amount)] };
}
