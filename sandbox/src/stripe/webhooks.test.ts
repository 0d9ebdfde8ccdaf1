import { expect, test } from 'vitest';
import type Stripe from 'stripe';
import { dataFolder, eventually, paid, type Receiver, receiver, rejection, sandbox, SECRETS, type TestSandbox } from '../../test/harness.ts';

async function withEndpoint(folder?: string): Promise<TestSandbox & { hooks: Receiver }> {
  const hooks = await receiver();
  return { ...(await sandbox({ STRIPE_WEBHOOK_URL: `${hooks.url}/webhooks/stripe`, ...(folder && { SANDBOX_DATA: folder }) })), hooks };
}

const events = ({ stripe, hooks }: { stripe: Stripe; hooks: Receiver }) =>
  hooks.received.map(({ body, headers }) => stripe.webhooks.constructEvent(body, headers['stripe-signature'] as string, SECRETS.STRIPE_WEBHOOK_SECRET));
const types = (one: { stripe: Stripe; hooks: Receiver }) => events(one).map((event) => event.type as string).sort();
const allDelivered = (one: TestSandbox) => eventually(async () => (await one.get<{ waiting: number }>('/control/webhooks')).waiting === 0);

test('every fact is told in a signed event that the official SDK accepts', async () => {
  const one = await withEndpoint();
  const { stripe } = one;
  const good = await stripe.paymentIntents.create(paid('good'), { idempotencyKey: 'key-1' });
  await rejection(stripe.paymentIntents.create(paid('bad', 'pm_card_chargeDeclined')));
  await stripe.paymentIntents.create(paid('ask', 'pm_card_authenticationRequired'));
  await stripe.refunds.create({ payment_intent: good.id });
  const open = await stripe.paymentIntents.create({ amount: 5, currency: 'eur' });
  await stripe.paymentIntents.cancel(open.id);
  await stripe.paymentIntents.create(paid('dispute', 'pm_card_createDispute'));
  await stripe.disputes.close((await stripe.disputes.list()).data[0]?.id as string);
  await allDelivered(one);
  expect(types(one)).toEqual([
    'charge.dispute.closed', 'charge.dispute.created', 'charge.refunded', 'payment_intent.canceled',
    ...Array<string>(5).fill('payment_intent.created'),
    'payment_intent.payment_failed', 'payment_intent.requires_action', 'payment_intent.succeeded', 'payment_intent.succeeded', 'refund.created',
  ]);
  const succeeded = events(one).find((event) => event.type === 'payment_intent.succeeded' && event.data.object.id === good.id);
  expect(succeeded).toMatchObject({ object: 'event', livemode: false, request: { idempotency_key: 'key-1' }, data: { object: { status: 'succeeded', amount_received: 1200, metadata: { order_id: 'good' } } } });
  const created = events(one).find((event) => event.type === 'payment_intent.created' && (event.data.object as { id: string }).id === good.id);
  expect(created?.data.object).toMatchObject({ status: 'requires_confirmation', amount_received: 0 });
});

test('the events API tells the same as the webhooks', async () => {
  const one = await withEndpoint();
  await one.stripe.paymentIntents.create(paid('o1'));
  await allDelivered(one);
  const listed = (await one.stripe.events.list({ type: 'payment_intent.succeeded' })).data;
  const sent = events(one).find((event) => event.type === 'payment_intent.succeeded');
  expect(listed.map((event) => event.id)).toEqual([sent?.id]);
  expect(await one.stripe.events.retrieve(sent?.id as string)).toMatchObject({ data: sent?.data, pending_webhooks: 0 });
  expect((await one.stripe.events.list({ types: ['charge.refunded', 'payment_intent.created'] })).data).toHaveLength(1);
});

test('an endpoint that fails is tried again until it takes the event', async () => {
  const one = await withEndpoint();
  const answers = [500, 302, 404];
  one.hooks.answer = (request) => (request.body.includes('payment_intent.created') ? 200 : (answers.shift() ?? 200));
  await one.stripe.paymentIntents.create(paid('o1'));
  await allDelivered(one);
  const attempts = events(one).filter((event) => event.type === 'payment_intent.succeeded');
  expect(attempts).toHaveLength(4);
  expect(new Set(attempts.map((event) => event.id)).size).toBe(1);
});

test('what was not delivered is delivered after a restart, and what was is not repeated', async () => {
  const folder = dataFolder();
  const one = await withEndpoint(folder);
  await one.stripe.paymentIntents.create(paid('before'));
  await allDelivered(one);
  one.hooks.answer = 503;
  await one.stripe.paymentIntents.create(paid('after'));
  await eventually(() => one.hooks.received.length >= 4);
  await one.stop();

  const two = await withEndpoint(folder);
  await allDelivered(two);
  expect(types(two)).toEqual(['payment_intent.created', 'payment_intent.succeeded']);
  expect(events(two).every((event) => (event.data.object as Stripe.PaymentIntent).metadata['order_id'] === 'after')).toBe(true);
});

test('duplicate sends every event so many times', async () => {
  const one = await withEndpoint();
  expect((await one.post('/control/webhooks', { mode: 'duplicate', copies: 5 })).body).toMatchObject({ mode: 'duplicate', copies: 5 });
  await one.stripe.paymentIntents.create(paid('o1'));
  await eventually(() => one.hooks.received.length === 10);
  expect(new Set(events(one).map((event) => event.id)).size).toBe(2);
});

test('reorder sends the younger event first', async () => {
  const one = await withEndpoint();
  await one.post('/control/webhooks', { mode: 'reorder', delay_ms: 400 });
  const intent = await one.stripe.paymentIntents.create(paid('o1'));
  await one.stripe.refunds.create({ payment_intent: intent.id });
  await allDelivered(one);
  const order = events(one).map((event) => event.type);
  expect(order.indexOf('payment_intent.succeeded')).toBeLessThan(order.indexOf('payment_intent.created'));
  expect(order).toHaveLength(4);
});

test('delay holds events back', async () => {
  const one = await withEndpoint();
  await one.post('/control/webhooks', { mode: 'delay', delay_ms: 300 });
  const start = Date.now();
  await one.stripe.paymentIntents.create(paid('o1'));
  await allDelivered(one);
  expect(Date.now() - start).toBeGreaterThanOrEqual(295);
  expect(one.hooks.received).toHaveLength(2);
});

test('drop never sends them, but the events API still knows', async () => {
  const one = await withEndpoint();
  await one.post('/control/webhooks', { mode: 'drop' });
  await one.stripe.paymentIntents.create(paid('dropped'));
  await one.post('/control/reset', {});
  await one.stripe.paymentIntents.create(paid('sent'));
  await allDelivered(one);
  expect(events(one).map((event) => (event.data.object as Stripe.PaymentIntent).metadata['order_id'])).toEqual(['sent', 'sent']);
  expect((await one.stripe.events.list()).data).toHaveLength(4);
  expect((await one.get<{ counts: object }>('/control/webhooks')).counts).toMatchObject({ dropped: 2 });
});

test('forge adds copies that a receiver must refuse, and counts those it took', async () => {
  const one = await withEndpoint();
  const genuine = new Set<string>();
  one.hooks.answer = ({ body, headers }) => {
    try {
      genuine.add(one.stripe.webhooks.constructEvent(body, headers['stripe-signature'] as string, SECRETS.STRIPE_WEBHOOK_SECRET).id);
      return 200;
    } catch {
      return 400;
    }
  };
  await one.post('/control/webhooks', { mode: 'forge' });
  await one.stripe.paymentIntents.create(paid('o1'));
  await eventually(() => one.hooks.received.length === 10);
  expect([...genuine].sort()).toEqual((await one.stripe.events.list()).data.map((event) => event.id).sort());
  await eventually(async () => (await one.get<{ counts: { forged: number } }>('/control/webhooks')).counts.forged === 8);
  expect((await one.get<{ counts: object }>('/control/webhooks')).counts).toMatchObject({ forged_accepted: 0 });

  one.hooks.answer = 200; // a receiver that believes everything is found out
  await one.stripe.paymentIntents.create(paid('o2'));
  await eventually(async () => (await one.get<{ counts: { forged_accepted: number } }>('/control/webhooks')).counts.forged_accepted === 8);
});

test('without an endpoint nothing is owed, not even to one that appears later', async () => {
  const folder = dataFolder();
  const one = await sandbox({ SANDBOX_DATA: folder });
  await one.stripe.paymentIntents.create(paid('o1'));
  await one.stop();
  const two = await withEndpoint(folder);
  expect(await two.get('/control/webhooks')).toMatchObject({ mode: 'normal', waiting: 0 });
  expect((await two.stripe.events.list()).data).toHaveLength(2);
});

test('an endpoint hears the types that it has subscribed to, and the events API knows them all', async () => {
  const hooks = await receiver();
  const one = { ...(await sandbox({ STRIPE_WEBHOOK_URL: hooks.url, STRIPE_WEBHOOK_EVENTS: 'refund.created, payment_intent.succeeded' })), hooks };
  const { id } = await one.stripe.paymentIntents.create(paid('o1'));
  await one.stripe.refunds.create({ payment_intent: id });
  await allDelivered(one);
  expect(types(one)).toEqual(['payment_intent.succeeded', 'refund.created']);
  expect((await one.stripe.events.list()).data).toHaveLength(4);
});
