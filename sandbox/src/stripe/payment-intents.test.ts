import { expect, test } from 'vitest';
import { CARD, eventually, paid, rejection, sandbox } from '../../test/harness.ts';

test('a confirmed card payment succeeds and shows its charge when asked to', async () => {
  const { stripe } = await sandbox();
  const created = await stripe.paymentIntents.create({ ...CARD, metadata: { order_id: 'o1' } });
  expect(created).toMatchObject({ object: 'payment_intent', status: 'requires_payment_method', amount_received: 0, metadata: { order_id: 'o1' } });
  expect(created.client_secret).toMatch(new RegExp(`^${created.id}_secret_`));

  const confirmed = await stripe.paymentIntents.confirm(created.id, { payment_method: 'pm_card_visa', expand: ['latest_charge'] });
  expect(confirmed).toMatchObject({ id: created.id, status: 'succeeded', amount_received: 1200 });
  expect(confirmed.latest_charge).toMatchObject({ object: 'charge', paid: true, amount_captured: 1200, payment_intent: created.id });
  expect(await stripe.paymentIntents.retrieve(created.id)).toMatchObject({ status: 'succeeded', latest_charge: (confirmed.latest_charge as { id: string }).id });
});

test.each([
  ['pm_card_chargeDeclined', 'card_declined', 'generic_decline'],
  ['pm_card_chargeDeclinedInsufficientFunds', 'card_declined', 'insufficient_funds'],
  ['pm_card_chargeDeclinedExpiredCard', 'expired_card', 'expired_card'],
])('%s is declined with %s, and the intent waits for another method', async (method, code, declineCode) => {
  const { stripe } = await sandbox();
  const error = await rejection(stripe.paymentIntents.create(paid('o1', method)));
  expect(error).toMatchObject({ type: 'StripeCardError', statusCode: 402, code, decline_code: declineCode });
  expect(error.payment_intent).toMatchObject({ status: 'requires_payment_method', payment_method: null, last_payment_error: { code, decline_code: declineCode } });

  const id = error.payment_intent.id;
  expect(await stripe.paymentIntents.confirm(id, { payment_method: 'pm_card_visa' })).toMatchObject({ status: 'succeeded', last_payment_error: null });
  const charges = await stripe.charges.list({ payment_intent: id });
  expect(charges.data.map((charge) => charge.status)).toEqual(['succeeded', 'failed']);
});

test('a card that needs authentication waits for its customer, who may agree or refuse', async () => {
  const { stripe, post } = await sandbox();
  const one = await stripe.paymentIntents.create(paid('o1', 'pm_card_authenticationRequired'));
  expect(one).toMatchObject({ status: 'requires_action', next_action: { type: 'redirect_to_url' } });
  expect((await post('/control/stripe/authenticate', { payment_intent: one.id, outcome: 'succeed' })).body).toEqual({ payment_intent: one.id, status: 'succeeded' });
  expect(await stripe.paymentIntents.retrieve(one.id)).toMatchObject({ status: 'succeeded', amount_received: 1200, next_action: null });

  const two = await stripe.paymentIntents.create(paid('o2', 'pm_card_authenticationRequired'));
  await post('/control/stripe/authenticate', { payment_intent: two.id, outcome: 'fail' });
  expect(await stripe.paymentIntents.retrieve(two.id)).toMatchObject({
    status: 'requires_payment_method',
    last_payment_error: { code: 'payment_intent_authentication_failure' },
  });
  expect((await post('/control/stripe/authenticate', { payment_intent: two.id, outcome: 'succeed' })).status).toBe(400);
});

test('the bank page lets the customer approve, and leads back to the shop', async () => {
  const { stripe } = await sandbox();
  const intent = await stripe.paymentIntents.create({ ...paid('o1', 'pm_card_authenticationRequired'), return_url: 'https://shop.example/thanks?x=1' });
  const link = intent.next_action?.redirect_to_url?.url as string;
  expect(await (await fetch(link)).text()).toContain('$12.00');
  expect((await fetch(link.replace(/secret=.*/, 'secret=guess'))).status).toBe(404);

  const answer = await fetch(link, { method: 'POST', body: new URLSearchParams({ outcome: 'succeed' }), redirect: 'manual' });
  expect(answer.status).toBe(303);
  expect(answer.headers.get('location')).toContain(`https://shop.example/thanks?x=1&payment_intent=${intent.id}`);
  expect(answer.headers.get('location')).toContain('redirect_status=succeeded');
  expect((await stripe.paymentIntents.retrieve(intent.id)).status).toBe('succeeded');
  expect((await fetch(link, { method: 'POST', body: new URLSearchParams({ outcome: 'fail' }) })).status).toBe(409);
});

test('an off-session payment that needs authentication is declined', async () => {
  const { stripe } = await sandbox();
  const error = await rejection(stripe.paymentIntents.create({ ...paid('o1', 'pm_card_authenticationRequired'), off_session: true }));
  expect(error).toMatchObject({ statusCode: 402, code: 'authentication_required' });
});

test('a step that the state does not allow is refused with Stripe\'s words and the intent', async () => {
  const { stripe } = await sandbox();
  const done = await stripe.paymentIntents.create(paid('o1'));
  for (const step of [
    () => stripe.paymentIntents.confirm(done.id, { payment_method: 'pm_card_visa' }),
    () => stripe.paymentIntents.cancel(done.id),
    () => stripe.paymentIntents.capture(done.id),
    () => stripe.paymentIntents.update(done.id, { amount: 5 }),
  ]) {
    const error = await rejection(step());
    expect(error).toMatchObject({ statusCode: 400, code: 'payment_intent_unexpected_state', payment_intent: { id: done.id, status: 'succeeded' } });
  }
  const open = await stripe.paymentIntents.create(CARD);
  expect(await stripe.paymentIntents.cancel(open.id, { cancellation_reason: 'abandoned' })).toMatchObject({ status: 'canceled', cancellation_reason: 'abandoned' });
  expect(await rejection(stripe.paymentIntents.confirm(open.id, { payment_method: 'pm_card_visa' }))).toMatchObject({ code: 'payment_intent_unexpected_state' });
  expect(await rejection(stripe.paymentIntents.confirm((await stripe.paymentIntents.create(CARD)).id))).toMatchObject({ code: 'payment_intent_unexpected_state' });
});

test('an open intent takes a new amount and metadata; a paid one takes metadata only', async () => {
  const { stripe } = await sandbox();
  const intent = await stripe.paymentIntents.create({ ...CARD, metadata: { a: '1', b: '2' } });
  expect(await stripe.paymentIntents.update(intent.id, { amount: 900, metadata: { a: '', c: '3' } })).toMatchObject({ amount: 900, metadata: { b: '2', c: '3' } });
  await stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa' });
  expect((await stripe.paymentIntents.update(intent.id, { metadata: { d: '4' } })).metadata).toEqual({ b: '2', c: '3', d: '4' });
});

test('manual capture takes the money later, at most once', async () => {
  const { stripe, get } = await sandbox();
  const held = await stripe.paymentIntents.create({ ...paid('o1'), capture_method: 'manual' });
  expect(held).toMatchObject({ status: 'requires_capture', amount_capturable: 1200, amount_received: 0 });
  expect(await get('/ledger/stripe')).toEqual([]);
  expect(await stripe.paymentIntents.capture(held.id, { amount_to_capture: 1000 })).toMatchObject({ status: 'succeeded', amount_received: 1000 });
  expect(await rejection(stripe.paymentIntents.capture(held.id))).toMatchObject({ code: 'payment_intent_unexpected_state' });
  expect(await get('/ledger/stripe')).toMatchObject([{ type: 'captured', amount: 1000 }]);
});

test('a bank payment is processing first and has its outcome later', async () => {
  const { stripe } = await sandbox();
  const good = await stripe.paymentIntents.create(paid('o1', 'pm_usBankAccount'));
  const bad = await stripe.paymentIntents.create(paid('o2', 'pm_usBankAccount_insufficientFunds'));
  expect([good.status, bad.status]).toEqual(['processing', 'processing']);
  expect(await rejection(stripe.paymentIntents.cancel(good.id))).toMatchObject({ code: 'payment_intent_unexpected_state' });
  await eventually(async () => (await stripe.paymentIntents.retrieve(good.id)).status === 'succeeded');
  await eventually(async () => (await stripe.paymentIntents.retrieve(bad.id)).status === 'requires_payment_method');
});

test('lists are newest first, page by themselves and filter by creation time', async () => {
  const { stripe } = await sandbox();
  const ids: string[] = [];
  for (let i = 0; i < 25; i++) ids.unshift((await stripe.paymentIntents.create(CARD)).id);
  const listed: string[] = [];
  for await (const intent of stripe.paymentIntents.list({ limit: 10 })) listed.push(intent.id);
  expect(listed).toEqual(ids);
  const back = await stripe.paymentIntents.list({ limit: 3, ending_before: ids[10] });
  expect(back.data.map((intent) => intent.id)).toEqual(ids.slice(7, 10));

  const now = Math.floor(Date.now() / 1000);
  expect((await stripe.paymentIntents.list({ created: { gte: now + 60 } })).data).toEqual([]);
  expect((await stripe.paymentIntents.list({ created: { gte: now - 60, lte: now + 60 }, limit: 100 })).data).toHaveLength(25);
  expect((await stripe.paymentIntents.list({ created: { lt: now - 60 } })).data).toEqual([]);
  expect(await rejection(stripe.paymentIntents.list({ starting_after: 'pi_nothing' }))).toMatchObject({ code: 'resource_missing' });
});

test('search finds intents by their metadata and other fields', async () => {
  const { stripe } = await sandbox();
  for (const [order, method] of [['o1', 'pm_card_visa'], ['o1', 'pm_card_chargeDeclined'], ['o2', 'pm_card_visa']] as const) {
    await stripe.paymentIntents.create(paid(order, method)).catch(() => undefined);
  }
  const find = async (query: string) => (await stripe.paymentIntents.search({ query })).data.map((intent) => `${intent.metadata['order_id']} ${intent.status}`);
  expect(await find("metadata['order_id']:'o1'")).toEqual(['o1 requires_payment_method', 'o1 succeeded']);
  expect(await find('metadata["order_id"]:"o1" AND status:"succeeded"')).toEqual(['o1 succeeded']);
  expect(await find("-metadata['order_id']:'o1'")).toEqual(['o2 succeeded']);
  expect(await find('amount>1200')).toEqual([]);
  const pages = [];
  for await (const intent of stripe.paymentIntents.search({ query: "metadata['order_id']:'o1'", limit: 1 })) pages.push(intent.id);
  expect(pages).toHaveLength(2);
  expect(await rejection(stripe.paymentIntents.search({ query: 'order = 1' }))).toMatchObject({ statusCode: 400 });
});

test.each([
  [{ currency: 'usd' }, 'parameter_missing', 'amount'],
  [{ amount: '0', currency: 'usd' }, 'parameter_invalid_integer', 'amount'],
  [{ amount: '-5', currency: 'usd' }, 'parameter_invalid_integer', 'amount'],
  [{ amount: '1.5', currency: 'usd' }, 'parameter_invalid_integer', 'amount'],
  [{ amount: '9223372036854775808', currency: 'usd' }, 'parameter_invalid_integer', 'amount'],
  [{ amount: '100000000', currency: 'usd' }, 'amount_too_large', 'amount'],
  [{ amount: '100' }, 'parameter_missing', 'currency'],
  [{ amount: '100', currency: 'xyz' }, undefined, 'currency'],
  [{ amount: '100', currency: 'usd', colour: 'red' }, 'parameter_unknown', 'colour'],
  [{ amount: '100', currency: 'usd', payment_method: 'pm_1x' }, 'resource_missing', 'payment_method'],
  [{ amount: '100', currency: 'usd', customer: 'cus_x' }, 'resource_missing', 'customer'],
  [{ amount: '100', currency: 'usd', confirm: 'true' }, 'parameter_missing', 'payment_method'],
  [{ amount: '100', currency: 'usd', confirm: 'true', payment_method: 'pm_card_visa' }, undefined, undefined], // no return_url
  [{ amount: '100', currency: 'usd', confirm: 'maybe' }, undefined, 'confirm'],
  [{ amount: '100', currency: 'usd', 'metadata[a]': 'x'.repeat(501) }, undefined, 'metadata[a]'],
  [{ amount: '100', currency: 'usd', 'payment_method_data[card][number]': '4242424242424242' }, undefined, undefined],
  [{ amount: '100', currency: 'usd', 'expand[]': 'soul' }, undefined, 'expand'],
])('create refuses %j', async (form, code, param) => {
  const { url, get } = await sandbox();
  const response = await fetch(`${url}/v1/payment_intents`, { method: 'POST', headers: { authorization: 'Bearer sk_test_millrace' }, body: new URLSearchParams(form) });
  const { error } = (await response.json()) as { error?: Record<string, unknown> };
  expect(response.status).toBe(400);
  expect(error).toMatchObject({ type: 'invalid_request_error', message: expect.stringMatching(/\S/) });
  expect(error?.['code']).toBe(code);
  expect(error?.['param']).toBe(param);
  expect(JSON.stringify(error)).not.toContain('4242');
  expect((await get<{ intents: unknown[] }>('/inbox/data')).intents).toEqual([]);
});

test('an unknown path, a wrong method and a wrong key are Stripe\'s own errors', async () => {
  const { url, stripe } = await sandbox();
  const auth = { authorization: 'Bearer sk_test_millrace' };
  for (const [method, path] of [['GET', '/v1/customers'], ['DELETE', '/v1/payment_intents/pi_1'], ['POST', '/v1/payment_intents/pi_1/explode'], ['GET', '/v1/'], ['GET', '/v2/core/events'], ['GET', '/whatever']] as const) {
    const response = await fetch(url + path, { method, headers: { authorization: 'Bearer sk_test_millrace' } });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error', message: `Unrecognized request URL (${method}: ${path}). Please see https://docs.stripe.com/api or we can help at https://support.stripe.com/.` } });
  }
  expect((await fetch(`${url}/v1/payment_intents`, { headers: { authorization: 'Bearer sk_test_someone_elses' } })).status).toBe(401);
  expect((await fetch(`${url}/v1/payment_intents`)).status).toBe(401);
  expect((await fetch(`${url}/v1/payment_intents`, { headers: auth })).headers.get('request-id')).toMatch(/^req_/);
  expect(await rejection(stripe.paymentIntents.retrieve('pi_unknown'))).toMatchObject({ statusCode: 404, code: 'resource_missing', param: 'intent' });
});
