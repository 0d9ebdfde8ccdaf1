// What each of Stripe's errors means for a payment: known, not done, or unknown.
import { Stripe } from 'stripe';
import { describe, expect, test } from 'vitest';
import { type Account, type Step, openAccount } from './payment.ts';
import { factsOfError, intentFact, nothingFound } from './stripe-facts.ts';

const opened = openAccount({ orderId: 'ord_1', customerId: 'b', amount: 1_000n, currency: 'EUR', paymentMethod: 'pm_x', dueTime: new Date(0) });
const account: Account = { ...opened, payment: { ...opened.payment, providerPaymentId: 'pi_1', intentOpen: true } };
const refund: Step = { do: 'refund', refund: { refundId: 'r1', amount: 1n, state: 'PENDING', reason: '', providerRefundId: '', failureMessage: '' } };
const pay: Step = { do: 'pay' };
const LAG_MS = 60_000;
const confirm: Step = { do: 'confirm' };
const LOOK_UP: Step = { do: 'look_up' };
const FIND: Step = { do: 'find' };
const CANCEL: Step = { do: 'cancel' };
type Raw = ConstructorParameters<typeof Stripe.errors.StripeAPIError>[0];
const raw = (statusCode: number, more: object = {}) => ({ message: 'said', type: 'invalid_request_error', statusCode, headers: {}, ...more }) as Raw;
const { StripeAPIError, StripeConnectionError, StripeRateLimitError, StripeInvalidRequestError, StripeAuthenticationError, StripeIdempotencyError, StripeCardError } = Stripe.errors;
const postponed = (unknown: boolean, burnt = false) => ({ kind: 'postponed', unknown, burnt });

describe('an error', () => {
  test.each([
    ['a lost connection: unknown', confirm, new StripeConnectionError(raw(0)), [postponed(true)]],
    ['an error of its own: unknown, under the same key', confirm, new StripeAPIError(raw(500)), [postponed(true)]],
    ['a repeated error of its own: unknown, and the key is spent', confirm, new StripeAPIError(raw(500, { headers: { 'idempotent-replayed': 'true' } })), [postponed(true, true)]],
    ['a repeated error while paying at once: searched for when a search can show it', pay, new StripeAPIError(raw(500, { headers: { 'idempotent-replayed': 'true' } })), [{ ...postponed(true, true), pauseMs: LAG_MS }]],
    ['a refusal to pay at once: nothing was made, an intent is made first', pay, new StripeInvalidRequestError(raw(400, { code: 'resource_missing' })), [postponed(false, true)]],
    ['a gateway\'s error: unknown, the key stays', refund, new StripeAPIError(raw(503)), [postponed(true)]],
    ['a read that failed: nothing new', LOOK_UP, new StripeAPIError(raw(500)), [postponed(false)]],
    ['the same key in flight: not done by this call', confirm, new StripeAPIError(raw(409, { code: 'idempotency_key_in_use' })), [postponed(false)]],
    ['the key was used for something else: unknown, and the key is spent', confirm, new StripeIdempotencyError(raw(400)), [postponed(true, true)]],
    ['a wrong API key: not done, and no buyer\'s failure', confirm, new StripeAuthenticationError(raw(401)), [postponed(false)]],
    ['a search that isn\'t offered: then nothing was found', FIND, new StripeInvalidRequestError(raw(400)), [{ kind: 'not_found' }]],
    ['a refused try: known', confirm, new StripeInvalidRequestError(raw(400, { code: 'resource_missing' })), [{ kind: 'refused', attempt: 1, failure: { code: 'resource_missing', message: 'said' } }]],
    ['a refused refund: known, and looked into', refund, new StripeInvalidRequestError(raw(400, { code: 'charge_disputed' })), [{ kind: 'refund_refused', refundId: 'r1' }, postponed(true, true)]],
    ['closing an intent that is gone: it is closed', CANCEL, new StripeInvalidRequestError(raw(404, { code: 'resource_missing' })), [{ kind: 'intent', id: 'pi_1', status: 'canceled' }]],
  ])('%s', (_promise, step, error, facts) => {
    expect(factsOfError(error, step, account, LAG_MS)).toMatchObject(facts);
  });

  test('without a search nothing is made under a new key while the buyer has time', () => {
    const unoffered = new StripeInvalidRequestError(raw(400));
    const burnt: Account = { ...account, payment: { ...account.payment, generation: 1 } };
    expect(factsOfError(unoffered, FIND, burnt, LAG_MS)).toMatchObject([postponed(true)]);
    expect(factsOfError(unoffered, FIND, { ...burnt, overdue: true }, LAG_MS)).toEqual([{ kind: 'not_found', generation: 1 }]);
  });

  test('a limit is kept to for as long as it says', () => {
    expect(factsOfError(new StripeRateLimitError(raw(429, { headers: { 'retry-after': '7' } })), confirm, account, LAG_MS)).toMatchObject([{ ...postponed(false), pauseMs: 7_000 }]);
  });

  test('a decline carries the intent as it stands', () => {
    const intent = { id: 'pi_1', amount: 1_000, amount_received: 0, currency: 'eur', status: 'requires_payment_method', metadata: { order_id: 'ord_1' }, last_payment_error: { code: 'card_declined', message: 'no' } };
    const error = new StripeCardError(raw(402, { type: 'card_error', code: 'card_declined', payment_intent: intent }));
    expect(factsOfError(error, confirm, account, LAG_MS)).toMatchObject([{ kind: 'intent', status: 'open', attempt: 1, failure: { code: 'card_declined', message: 'no' } }]);
  });

  test('of ours is not taken for one of the provider\'s', () => {
    expect(() => factsOfError(new TypeError('a defect'), confirm, account, LAG_MS)).toThrow('a defect');
  });
});

test.each([
  ['succeeded', 'captured'], ['canceled', 'canceled'], ['processing', 'processing'], ['requires_capture', 'processing'],
  ['requires_action', 'action'], ['requires_confirmation', 'open'], ['requires_payment_method', 'open'],
] as const)('an intent that is %s is %s', (status, read) => {
  const intent = { id: 'pi_1', amount: 5, amount_received: 0, currency: 'jpy', status, metadata: {}, client_secret: 's' } as unknown as Stripe.PaymentIntent;
  expect(intentFact(intent)).toMatchObject({ status: read, amount: 5n, currency: 'JPY', orderId: '' });
});

describe('a search that finds nothing', () => {
  const spent: Account = { ...opened, payment: { ...opened.payment, generation: 1 }, quietMs: 20_000 };
  test('means that nothing was made', () => expect(nothingFound(opened, LAG_MS)).toEqual([{ kind: 'not_found', generation: 0 }]));
  test('means nothing yet when a key was spent lately', () => expect(nothingFound(spent, LAG_MS)).toEqual([{ kind: 'postponed', unknown: true, burnt: false, pauseMs: 40_000 }]));
  test('means it once a search would show what was made under that key', () => expect(nothingFound({ ...spent, quietMs: LAG_MS }, LAG_MS)).toEqual([{ kind: 'not_found', generation: 1 }]));
});
