// Endpoints of /v1/refunds.
import type { Charge, Refund } from '../store/records.ts';
import { ledgerRow } from './attempt.ts';
import { type Call, type Change, type Result, seconds, tell } from './call.ts';
import { money } from './currencies.ts';
import { badParam, badRequest, type ErrorFields, missing, withDocs } from './errors.ts';
import { listPage } from './list.ts';
import { choice, filledText, integer, metadata, onlyKnown } from './params.ts';
import { renderRefund } from './render.ts';
import { GENERIC_DECLINE, TEST_METHODS } from './test-methods.ts';

const SETTLE_AFTER_MS = 1_000;
const CREATE = new Set(['amount', 'charge', 'expand', 'instructions_email', 'metadata', 'origin', 'payment_intent', 'reason', 'refund_application_fee', 'reverse_transfer']);

export function create(call: Call): Result {
  const { params, store } = call;
  onlyKnown(params, CREATE);
  const asked = integer(params, 'amount', { least: 1, most: Number.MAX_SAFE_INTEGER });
  const reason = choice(params, 'reason', ['duplicate', 'fraudulent', 'requested_by_customer']) ?? null;
  const meta = metadata(params, {});
  const charge = chargeToRefund(call);
  if (!charge) return failed(badRequest('This PaymentIntent does not have a successful charge to refund.').fields);
  const error = refusal(charge, asked);
  if (error) return failed(error);
  if (call.decline) return failed(withDocs({ ...GENERIC_DECLINE, type: 'card_error' }), 402);

  const amount = asked ?? charge.captured - charge.refunded;
  const behaviour = TEST_METHODS.get(charge.testMethod)?.refund;
  const refund: Refund = {
    id: store.refunds.newId(), intent: charge.intent, charge: charge.id, created: seconds(call), amount, currency: charge.currency,
    status: behaviour ? 'pending' : 'succeeded',
    reason,
    metadata: meta,
    ...(behaviour && { settleAt: call.at + SETTLE_AFTER_MS, settleTo: behaviour === 'fails' ? ('failed' as const) : ('succeeded' as const) }),
  };
  const intent = store.intents.get(charge.intent);
  const change: Change = {
    refund,
    charge: { ...charge, refunded: charge.refunded + amount },
    events: [tell(call, 'refund.created', 'refund'), tell(call, 'charge.refunded', 'charge')],
    ledger: behaviour || !intent ? undefined : [ledgerRow('refunded', intent, amount)],
  };
  return { change, status: 200, on: 'refund' };
}

export function retrieve(call: Call): Result {
  onlyKnown(call.params, new Set(['expand']));
  return { object: renderRefund(find(call)) };
}

export function update(call: Call): Result {
  onlyKnown(call.params, new Set(['expand', 'metadata']));
  const before = find(call);
  const refund = { ...before, metadata: metadata(call.params, before.metadata) };
  return { change: { refund, events: [tell(call, 'refund.updated', 'refund')] }, status: 200, on: 'refund' };
}

export function list(call: Call): Result {
  onlyKnown(call.params, new Set(['charge', 'created', 'ending_before', 'expand', 'limit', 'payment_intent', 'starting_after']));
  const charge = filledText(call.params, 'charge');
  const intentId = filledText(call.params, 'payment_intent') ?? (charge && (call.store.charges.get(charge)?.intent ?? ''));
  return {
    object: listPage(call, call.store.refunds, {
      param: 'refund',
      render: renderRefund,
      ...(intentId !== undefined && { numbers: call.store.refundsByIntent.get(intentId) }),
      ...(charge !== undefined && { keep: (refund: Refund) => refund.charge === charge }),
    }),
  };
}

function find(call: Call): Refund {
  const refund = call.store.refunds.get(call.id);
  if (!refund) throw missing('refund', call.id.slice(0, 100), 'id', 404);
  return refund;
}

function chargeToRefund({ params, store }: Call): Charge | undefined {
  const intentId = filledText(params, 'payment_intent');
  const chargeId = filledText(params, 'charge');
  if (intentId === undefined && chargeId === undefined) {
    throw badRequest('One of the following params should be provided for this request: payment_intent or charge.');
  }
  const intent = intentId === undefined ? undefined : store.intents.get(intentId);
  if (intentId !== undefined && !intent) throw missing('payment_intent', intentId.slice(0, 100), 'payment_intent', 404);
  if (chargeId !== undefined && !store.charges.get(chargeId)) throw missing('charge', chargeId.slice(0, 100), 'charge', 404);
  const charge = store.charges.get(chargeId ?? intent?.charges.at(-1) ?? '');
  return charge?.status === 'succeeded' && charge.captured > 0 ? charge : undefined;
}

function refusal(charge: Charge, asked: number | undefined): ErrorFields | undefined {
  const left = charge.captured - charge.refunded;
  if (left <= 0) return withDocs({ type: 'invalid_request_error', code: 'charge_already_refunded', message: `Charge ${charge.id} has already been refunded.` });
  if (charge.disputed) {
    return withDocs({ type: 'invalid_request_error', code: 'charge_disputed', message: `Charge ${charge.id} has been charged back; cannot issue a refund.` });
  }
  if (asked === undefined || asked <= left) return undefined;
  const against = charge.refunded > 0 ? `unrefunded amount on charge (${money(left, charge.currency)})` : `charge amount (${money(left, charge.currency)})`;
  return badParam('amount', undefined, `Refund amount (${money(asked, charge.currency)}) is greater than ${against}`).fields;
}

const failed = (error: ErrorFields, status = 400): Result => ({ change: {}, status, error });
