import { createHmac } from 'node:crypto';
import type { HttpRequest, HttpResponse } from '@millrace/chassis/server/server';
import { createLog } from '@millrace/chassis/telemetry/log';
import { afterAll, expect, test } from 'vitest';
import { createStripe } from './stripe.ts';
import type { News } from './take-webhook.ts';
import { stripeWebhook } from './webhook.ts';

const SECRET = 'whsec_test';
const taken: News[] = [];
const provider = createStripe({ STRIPE_SECRET_KEY: 'sk_test_none', STRIPE_WEBHOOK_SECRET: SECRET, STRIPE_SEARCH_LAG: 0 });
const handle = stripeWebhook(provider, async (news) => void taken.push(news), createLog('payment', 'silent'));
afterAll(() => provider.close());

const INTENT = { id: 'pi_1', amount: 100, amount_received: 100, currency: 'eur', status: 'succeeded', metadata: { order_id: 'ord_1' } };

async function send({ age = 0, ...more }: { age?: number; account?: string; id?: string } = {}): Promise<HttpResponse> {
  const body = JSON.stringify({ id: 'evt_1', object: 'event', type: 'payment_intent.succeeded', data: { object: INTENT }, ...more });
  const at = Math.floor(Date.now() / 1_000) - age;
  const headers = new Headers({ 'stripe-signature': `t=${at},v1=${createHmac('sha256', SECRET).update(`${at}.${body}`).digest('hex')}` });
  return handle({ method: 'POST', url: '/webhooks/stripe', headers, body: Buffer.from(body) } satisfies HttpRequest);
}

test('a webhook that was signed just now is taken', async () => {
  expect(await send({ id: 'evt_now' })).toMatchObject({ status: 200 });
  expect(taken).toMatchObject([{ id: 'evt_now', orderId: 'ord_1' }]);
});

test.each([['long ago', 600], ['in the future', -600]])('one that was signed %s is refused', async (_when, age) => {
  const before = taken.length;
  expect(await send({ age })).toMatchObject({ status: 400 });
  expect(taken).toHaveLength(before);
});

test("a connected account's is answered, and changes nothing", async () => {
  const before = taken.length;
  expect(await send({ account: 'acct_other' })).toMatchObject({ status: 200 });
  expect(taken).toHaveLength(before);
});
