import { expect, test } from 'vitest';
import { CARD, paid, rejection, sandbox } from '../test/harness.ts';
import { createFaults } from './faults.ts';

test('a fault hits the named operation only, so many times only, and counts its hits', async () => {
  const { stripe, post, get } = await sandbox();
  const added = await post('/control/faults', { provider: 'stripe', operation: 'payment_intents.retrieve', effect: 'error', status: 503, times: 2 });
  expect(added).toMatchObject({ status: 200, body: { operation: 'payment_intents.retrieve', times: 2, hits: 0 } });
  const { id } = await stripe.paymentIntents.create(CARD);
  for (let i = 0; i < 2; i++) expect(await rejection(stripe.paymentIntents.retrieve(id))).toMatchObject({ statusCode: 503, type: 'StripeAPIError' });
  expect((await stripe.paymentIntents.retrieve(id)).id).toBe(id);
  expect(await get('/control/faults')).toMatchObject([{ hits: 2 }]);
});

test('a lost reply closes the connection after the work; the same key then has the answer', async () => {
  const { url, stripe, post, get } = await sandbox();
  await post('/control/faults', { provider: 'stripe', operation: 'payment_intents.create', effect: 'lost_reply', times: 1 });
  const request = { method: 'POST', headers: { authorization: 'Bearer sk_test_millrace', 'idempotency-key': 'k' }, body: new URLSearchParams('amount=1200&currency=usd&payment_method=pm_card_visa&confirm=true&payment_method_types[]=card') };
  await rejection(fetch(`${url}/v1/payment_intents`, request));
  expect(await get('/ledger/stripe')).toMatchObject([{ type: 'captured', amount: 1200 }]);
  const again = await fetch(`${url}/v1/payment_intents`, request);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(await again.json()).toMatchObject({ status: 'succeeded', id: (await stripe.paymentIntents.list()).data[0]?.id });
  expect(await get('/ledger/stripe')).toHaveLength(1);
});

test('the official SDK gets over one lost reply by itself, and charges once', async () => {
  const { stripe, post, get } = await sandbox();
  await post('/control/faults', { provider: 'stripe', operation: 'payment_intents.confirm', effect: 'lost_reply', times: 1 });
  expect((await stripe.paymentIntents.create(paid('o1'), { idempotencyKey: 'k' })).status).toBe('succeeded');
  expect(await get('/ledger/stripe')).toHaveLength(1);
});

test('decline refuses a good card, and a refund', async () => {
  const { stripe, post } = await sandbox();
  await post('/control/faults', { provider: 'stripe', operation: 'payment_intents.confirm', effect: 'decline', times: 1 });
  const intent = await stripe.paymentIntents.create(CARD);
  expect(await rejection(stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa' }))).toMatchObject({ statusCode: 402, code: 'card_declined' });
  await stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa' });
  await post('/control/faults', { provider: 'stripe', operation: 'refunds.create', effect: 'decline', times: 1 });
  expect(await rejection(stripe.refunds.create({ payment_intent: intent.id }))).toMatchObject({ statusCode: 402 });
  expect((await stripe.refunds.create({ payment_intent: intent.id })).status).toBe('succeeded');
});

test('delay comes before the work, and adds up', async () => {
  const { stripe, post } = await sandbox();
  for (let i = 0; i < 2; i++) await post('/control/faults', { provider: 'stripe', operation: '*', effect: 'delay', delay_ms: 100 });
  const start = Date.now();
  await stripe.paymentIntents.create(CARD);
  expect(Date.now() - start).toBeGreaterThanOrEqual(195);
});

test('reset clears the faults and keeps the records', async () => {
  const { stripe, post, get } = await sandbox();
  await stripe.paymentIntents.create(paid('o1'));
  await post('/control/faults', { provider: 'stripe', operation: '*', effect: 'error' });
  expect((await post('/control/reset', '')).status).toBe(200);
  expect(await get('/control/faults')).toEqual([]);
  expect((await stripe.paymentIntents.list()).data).toHaveLength(1);
});

test('a fault with a probability hits that share of the requests', () => {
  let turn = 0;
  const faults = createFaults(() => (turn++ % 10) / 10);
  faults.add({ provider: 'twilio', effect: 'error', probability: 0.3 });
  const hits = Array.from({ length: 100 }, () => faults.take('twilio', ['messages.create'], true)).filter((hit) => hit.effect === 'error');
  expect(hits).toHaveLength(30);
});

test.each([
  ['/control/faults', {}, 'provider must be one of stripe, postmark, twilio'],
  ['/control/faults', { provider: 'paypal', effect: 'error' }, 'provider must be one of stripe, postmark, twilio, not "paypal"'],
  ['/control/faults', { provider: 'stripe', effect: 'explode' }, 'effect must be one of error, delay, lost_reply, decline, not "explode"'],
  ['/control/faults', { provider: 'stripe', operation: 'email.send', effect: 'error' }, /^operation must be one of \*, payment_intents.create, /],
  ['/control/faults', { provider: 'stripe', effect: 'error', status: 200 }, 'status must be a whole number from 400 to 599, not 200'],
  ['/control/faults', { provider: 'stripe', effect: 'delay' }, 'effect delay needs delay_ms (milliseconds)'],
  ['/control/faults', { provider: 'stripe', effect: 'error', times: 0.5 }, /^times must be a whole number/],
  ['/control/faults', { provider: 'stripe', effect: 'error', probability: 2 }, 'probability must be a number from 0 to 1, not 2'],
  ['/control/faults', { provider: 'stripe', effect: 'error', colour: 1 }, /^unknown field colour; allowed: /],
  ['/control/faults', { provider: 'stripe', operation: 'events.list', effect: 'decline' }, /^operation events.list cannot be declined; stripe can decline: /],
  ['/control/faults', [], /^send a JSON object with: /],
  ['/control/faults', '{', 'the body is not valid JSON'],
  ['/control/webhooks', { mode: 'sideways' }, 'mode must be one of normal, duplicate, reorder, delay, drop, forge, not "sideways"'],
  ['/control/webhooks', { mode: 'duplicate', copies: 1000 }, 'copies must be a whole number from 1 to 50, not 1000'],
  ['/control/stripe/authenticate', { payment_intent: 'pi_x', outcome: 'maybe' }, 'outcome must be one of succeed, fail, not "maybe"'],
  ['/control/stripe/authenticate', { payment_intent: 'pi_x', outcome: 'fail' }, /^payment_intent must be the id of an intent/],
])('%s refuses %j and says what is allowed', async (path, body, message) => {
  const { post } = await sandbox();
  const { status, body: answer } = await post(path, body);
  expect(status).toBe(400);
  expect(answer['error']).toMatch(message);
});

test('an unknown control names the known ones, a wrong method the right one', async () => {
  const { url, post } = await sandbox();
  expect(await post('/control/nothing', {})).toMatchObject({ status: 404, body: { error: expect.stringContaining('POST /control/faults') } });
  const response = await fetch(`${url}/control/reset`);
  expect([response.status, await response.json()]).toEqual([405, { error: 'use POST /control/reset' }]);
});
