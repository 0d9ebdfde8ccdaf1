// Endpoints of /v1/payment_intents: create, retrieve, update, list. What follows a confirmation is in `attempt.ts`.
import { randomText } from '../store/ids.ts';
import type { Intent } from '../store/records.ts';
import { confirm } from './attempt.ts';
import { type Call, type Result, seconds, tell } from './call.ts';
import { badParam, badRequest, missing } from './errors.ts';
import { amount, CONFIRM, CREATE, currency, details, methodTypes, UPDATE, withMethod, WITHOUT_MONEY } from './intent-params.ts';
import { stateError, unexpectedState } from './intent-rules.ts';
import { listPage } from './list.ts';
import { bool, choice, filledText, integer, onlyKnown, required, text } from './params.ts';
import { renderIntent } from './render.ts';

export function create(call: Call): Result {
  const { params } = call;
  onlyKnown(params, CREATE);
  const intent = withMethod(params, {
    id: '',
    secret: '',
    created: seconds(call),
    amount: amount(required(integer(params, 'amount', { least: 1, most: Number.MAX_SAFE_INTEGER }), 'amount')),
    currency: currency(required(filledText(params, 'currency'), 'currency')),
    status: 'requires_payment_method',
    capture: choice(params, 'capture_method', ['automatic', 'automatic_async', 'manual']) ?? 'automatic_async',
    ...methodTypes(params),
    metadata: {},
    received: 0,
    charges: [],
    ...details(params),
  }, call);
  const wantsConfirm = bool(params, 'confirm') ?? false;
  if (!wantsConfirm) {
    const given = ['off_session', 'error_on_requires_action', 'return_url', 'mandate_data'].find((name) => name in params);
    if (given) throw badParam(given, undefined, `The parameter \`${given}\` cannot be passed when creating a PaymentIntent unless \`confirm\` is set to true.`);
  } else checkConfirmable(intent);

  const id = call.store.intents.newId();
  const named = { ...intent, id, secret: `${id}_secret_${randomText(25)}` };
  const created = tell(call, 'payment_intent.created', 'intent');
  if (!wantsConfirm) return { change: { intent: named, events: [created] }, status: 200, on: 'intent' };
  return confirmed(call, named, [created]);
}

export function retrieve(call: Call): Result {
  onlyKnown(call.params, new Set(['expand', 'client_secret']));
  return { object: renderIntent(find(call), call.render) };
}

export function update(call: Call): Result {
  onlyKnown(call.params, UPDATE);
  const before = find(call);
  const moneyChanges = Object.keys(call.params).some((name) => !WITHOUT_MONEY.has(name));
  const value = integer(call.params, 'amount', { least: 1, most: Number.MAX_SAFE_INTEGER });
  const code = filledText(call.params, 'currency');
  const updated = withMethod(call.params, {
    ...before,
    ...(value !== undefined && { amount: amount(value) }),
    ...(code !== undefined && { currency: currency(code) }),
    ...details(call.params, before),
  }, call);
  const error = moneyChanges ? unexpectedState(before, 'update') : undefined;
  if (error) return { change: { intent: before }, status: 400, error };
  // A new method or amount needs a new confirmation.
  const intent = moneyChanges ? { ...updated, status: restingStatus(updated) } : updated;
  return { change: { intent }, status: 200, on: 'intent' };
}

export function confirmIntent(call: Call): Result {
  onlyKnown(call.params, CONFIRM);
  const before = find(call);
  const error = unexpectedState(before, 'confirm');
  if (error) return { change: { intent: before }, status: 400, error };
  const intent = withMethod(call.params, { ...before, ...details(call.params, before) }, call);
  if (!intent.testMethod) {
    return { change: { intent: before }, status: 400, error: stateError("You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method or ConfirmationToken.") };
  }
  checkConfirmable(intent);
  return confirmed(call, intent, []);
}

export function list(call: Call): Result {
  onlyKnown(call.params, new Set(['created', 'customer', 'customer_account', 'ending_before', 'expand', 'limit', 'starting_after']));
  if (filledText(call.params, 'customer') !== undefined) throw missing('customer', call.params['customer'] as string, 'customer', 400);
  return { object: listPage(call, call.store.intents, { param: 'payment_intent', render: (intent) => renderIntent(intent, call.render) }) };
}

export function find(call: Call): Intent {
  const intent = call.store.intents.get(call.id);
  if (!intent) throw missing('payment_intent', call.id.slice(0, 100), 'intent', 404);
  return intent;
}

function confirmed(call: Call, intent: Intent, before: ReturnType<typeof tell>[]): Result {
  const offSession = (text(call.params, 'off_session') ?? 'false') !== 'false' || (bool(call.params, 'error_on_requires_action') ?? false);
  const { change, error } = confirm(call, intent, { offSession });
  change.events = [...before, ...(change.events ?? [])];
  return error ? { change, status: 402, error } : { change, status: 200, on: 'intent' };
}

function checkConfirmable(intent: Intent): void {
  if (!intent.testMethod) throw badParam('payment_method', 'parameter_missing', 'You must provide a `payment_method` (or `payment_method_data`) when `confirm` is true.');
  if (intent.redirects === 'always' && !intent.returnUrl) {
    throw badRequest("This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents.");
  }
}

const restingStatus = (intent: Intent): Intent['status'] => (intent.testMethod ? 'requires_confirmation' : 'requires_payment_method');
