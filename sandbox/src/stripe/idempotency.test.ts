import { expect, test } from 'vitest';
import { CARD, paid, rejection, sandbox } from '../../test/harness.ts';

test('the same key and body are answered with the first outcome', async () => {
  const { stripe, get } = await sandbox();
  const first = await stripe.paymentIntents.create(paid('o1'), { idempotencyKey: 'k' });
  const second = await stripe.paymentIntents.create(paid('o1'), { idempotencyKey: 'k' });
  expect(second).toEqual(first);
  expect(second.lastResponse.headers['idempotent-replayed']).toBe('true');
  expect(second.lastResponse.headers['original-request']).toBe(first.lastResponse.requestId);
  expect(await get('/ledger/stripe')).toHaveLength(1);
});

test('a repeated answer shows the intent as it was then, not as it is now', async () => {
  const { stripe } = await sandbox();
  const intent = await stripe.paymentIntents.create(CARD, { idempotencyKey: 'k' });
  await stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa' });
  expect((await stripe.paymentIntents.create(CARD, { idempotencyKey: 'k' })).status).toBe('requires_payment_method');
});

test('a decline is repeated too, and takes no second attempt', async () => {
  const { stripe, get } = await sandbox();
  const body = paid('o1', 'pm_card_chargeDeclined');
  const first = await rejection(stripe.paymentIntents.create(body, { idempotencyKey: 'k' }));
  const second = await rejection(stripe.paymentIntents.create(body, { idempotencyKey: 'k' }));
  expect(second).toMatchObject({ statusCode: 402, code: 'card_declined', payment_intent: { id: first.payment_intent.id } });
  expect(await get('/ledger/stripe')).toHaveLength(1);
});

test('another body or another path under the same key is an error', async () => {
  const { stripe } = await sandbox();
  const intent = await stripe.paymentIntents.create(CARD, { idempotencyKey: 'k' });
  expect(await rejection(stripe.paymentIntents.create({ ...CARD, amount: 1 }, { idempotencyKey: 'k' }))).toMatchObject({ type: 'StripeIdempotencyError', statusCode: 400 });
  const other = await rejection(stripe.paymentIntents.confirm(intent.id, {}, { idempotencyKey: 'k' }));
  expect(other.message).toContain('can only be used for the same endpoint');
});

test('the order of the parameters does not matter', async () => {
  const { stripe } = await sandbox();
  const first = await stripe.paymentIntents.create({ amount: 1, currency: 'usd' }, { idempotencyKey: 'k' });
  expect((await stripe.paymentIntents.create({ currency: 'usd', amount: 1 }, { idempotencyKey: 'k' })).id).toBe(first.id);
});

test('a request that failed validation does not use its key up', async () => {
  const { stripe } = await sandbox();
  await rejection(stripe.paymentIntents.create({ ...CARD, currency: 'nope' }, { idempotencyKey: 'k' }));
  expect((await stripe.paymentIntents.create(CARD, { idempotencyKey: 'k' })).status).toBe('requires_payment_method');
});

test('a refusal by the state of the intent is remembered', async () => {
  const { stripe } = await sandbox();
  const intent = await stripe.paymentIntents.create(CARD);
  expect(await rejection(stripe.paymentIntents.confirm(intent.id, {}, { idempotencyKey: 'k' }))).toMatchObject({ code: 'payment_intent_unexpected_state' });
  await stripe.paymentIntents.update(intent.id, { payment_method: 'pm_card_visa' });
  const again = await rejection(stripe.paymentIntents.confirm(intent.id, {}, { idempotencyKey: 'k' }));
  expect(again).toMatchObject({ code: 'payment_intent_unexpected_state', headers: { 'idempotent-replayed': 'true' } });
});

test('a 500 is stored and repeated; a 429, a 503 and a 409 are not', async () => {
  const { stripe, post, get } = await sandbox();
  await post('/control/faults', { provider: 'stripe', operation: 'payment_intents.create', effect: 'error', times: 1 });
  const first = await rejection(stripe.paymentIntents.create(paid('o1'), { idempotencyKey: 'stuck' }));
  expect(first).toMatchObject({ type: 'StripeAPIError', statusCode: 500, headers: { 'stripe-should-retry': 'false' } });
  expect(await rejection(stripe.paymentIntents.create(paid('o1'), { idempotencyKey: 'stuck' }))).toMatchObject({ statusCode: 500, headers: { 'idempotent-replayed': 'true' } });
  expect(await get('/ledger/stripe')).toEqual([]);

  for (const [status, pause] of [[429, '1'], [503, '1'], [409, undefined]] as const) {
    await post('/control/faults', { provider: 'stripe', operation: '*', effect: 'error', status, times: 1 });
    const error = await rejection(stripe.paymentIntents.create(paid('o1'), { idempotencyKey: `free-${status}` }));
    expect([error.statusCode, error.headers['retry-after']]).toEqual([status, pause]);
    expect((await stripe.paymentIntents.create(paid('o1'), { idempotencyKey: `free-${status}` })).status).toBe('succeeded');
  }
});

test('a key in use is a conflict until the first request has its answer', async () => {
  const { stripe, post } = await sandbox();
  await post('/control/faults', { provider: 'stripe', operation: 'payment_intents.create', effect: 'delay', delay_ms: 1000, times: 1 });
  const first = stripe.paymentIntents.create(CARD, { idempotencyKey: 'k' });
  const second = stripe.paymentIntents.create(CARD, { idempotencyKey: 'k' });
  const outcomes = await Promise.allSettled([first, second]);
  const won = outcomes.find((outcome) => outcome.status === 'fulfilled');
  const lost = outcomes.find((outcome) => outcome.status === 'rejected');
  expect(lost?.reason).toMatchObject({ statusCode: 409, code: 'idempotency_key_in_use' });
  expect((await stripe.paymentIntents.create(CARD, { idempotencyKey: 'k' })).id).toBe(won?.value.id);
});

test('after a day, keys are forgotten', async () => {
  const { stripe, post } = await sandbox();
  const first = await stripe.paymentIntents.create(CARD, { idempotencyKey: 'k' });
  expect((await post('/control/stripe/expire_keys', {})).body).toEqual({ forgotten: 1 });
  expect((await stripe.paymentIntents.create(CARD, { idempotencyKey: 'k' })).id).not.toBe(first.id);
});
