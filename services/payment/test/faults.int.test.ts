// The provider misbehaves: lost replies, stored errors, limits, slowness; webhooks twice, late, reversed, forged, never.
import { createHmac } from 'node:crypto';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Statement, sql } from '@millrace/chassis/database/db';
import { PaymentState } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import { cancelled, eur, openWorld, placed, settled, until, type PaymentClient, type World } from './world.ts';

let world: World;
let admin: PaymentClient;
let n = 0;
let orderId = '';
beforeAll(async () => {
  world = await openWorld();
  admin = world.admin;
});
afterAll(() => world?.[Symbol.asyncDispose]());
beforeEach(async () => {
  orderId = `ord_f${(n += 1)}`;
  await world.control('reset', {});
});

const types = async (id = orderId) => (await world.ledger(id)).map((row) => row.type);
const calls = async () => {
  const metrics = await (await fetch(`${world.sandbox.url}/metrics`)).text();
  return [...metrics.matchAll(/^sandbox_requests_total\{provider="stripe".*\} (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
};
const refunded = (id = orderId) => settled(admin, id, 'SUCCEEDED', (payment) => payment.refunded?.minorUnits === 2_500n);
/** Cuts the growing pauses between tries short: a payment with a run of bad luck would wait longer than a test. */
const hurriedUntil = (what: string, look: () => Promise<boolean>) => until(what, async () => {
  await world.db.query(sql`UPDATE payment SET next_attempt_time = now() WHERE next_attempt_time > now() AND (lease_until IS NULL OR lease_until <= now())`);
  return look();
});
const count = async (ids: string[], condition: Statement) => Number((await world.db.query<{ n: bigint }>(sql`SELECT count(*) AS n FROM payment WHERE order_id = ANY(${ids}) AND ${condition}`))[0]?.n);
const place = async (many: number, name: string) => {
  const orders = Array.from({ length: many }, (_, i) => `${orderId}_${name}${i}`);
  await world.say(...orders.map((id) => placed(id)));
  return orders;
};

describe('a call whose reply is lost', () => {
  test.each(['payment_intents.create', 'payment_intents.confirm'])('%s: is found out about, and nothing is captured twice', async (operation) => {
    await world.fault(operation, 'lost_reply', { times: 2 });
    await world.say(placed(orderId));
    await settled(admin, orderId, 'SUCCEEDED');
    expect(await types()).toEqual(['captured']);
  });
  test('a decline is a decline, once', async () => {
    await world.control('webhooks', { mode: 'drop' });
    await world.fault('payment_intents.confirm', 'lost_reply', { times: 1 });
    await world.say(placed(orderId, { paymentMethod: 'pm_card_chargeDeclined' }));
    expect(await settled(admin, orderId, 'FAILED')).toMatchObject({ failureCode: 'card_declined' });
    expect(await types()).toEqual(['declined']);
    expect(await world.told(orderId)).toEqual(['2 failed']);
  });
  test('a refund is made once', async () => {
    await world.say(placed(orderId));
    await settled(admin, orderId, 'SUCCEEDED');
    await world.fault('refunds.create', 'lost_reply', { times: 2 });
    await world.say(cancelled(orderId));
    await refunded();
    expect(await types()).toEqual(['captured', 'refunded']);
  });
});

describe('an error of the provider that it stores and repeats', () => {
  test.each(['payment_intents.create', 'payment_intents.confirm', 'refunds.create', 'payment_intents.cancel'])('%s: is got over with a new key', async (operation) => {
    await world.fault(operation, 'error', { status: 500, times: 1 });
    const unpaid = operation === 'payment_intents.cancel';
    await world.say(placed(orderId, { paymentMethod: unpaid ? '' : 'pm_card_visa' }));
    await settled(admin, orderId, unpaid ? 'PENDING' : 'SUCCEEDED', ({ providerPaymentId }) => providerPaymentId !== '');
    await world.say(cancelled(orderId));
    await (unpaid ? settled(admin, orderId, 'CANCELLED') : refunded());
    expect(await types()).toEqual(unpaid ? ['canceled'] : ['captured', 'refunded']);
  });
});

test('a third of all calls failing, in every way, settles with one capture each and few calls more', async () => {
  for (const [effect, status] of [['error', 500], ['error', 503], ['error', 429], ['error', 409], ['lost_reply', 0]] as const) {
    await world.fault('*', effect, { ...(status && { status }), probability: 0.07 });
  }
  const before = await calls();
  const orders = await place(60, 'c');
  await hurriedUntil('all to be paid', async () => (await count(orders, sql`captured = 2500`)) === 60);
  await world.say(...orders.slice(0, 30).map(cancelled));
  await hurriedUntil('half to be given back', async () => (await count(orders, sql`refunded = 2500`)) === 30);
  const faults = (await (await fetch(`${world.sandbox.url}/control/faults`)).json()) as { hits: number }[];
  expect(faults.reduce((sum, { hits }) => sum + hits, 0)).toBeGreaterThan(20);
  // Without faults: a call for each payment and each refund.
  const amplification = ((await calls()) - before) / (60 + 30);
  expect(amplification).toBeLessThan(4);
  const ledger = await world.ledger();
  const of = (id: string) => ledger.filter((row) => row.order_id === id).map(({ type }) => type).join(' ');
  expect(new Set(orders.slice(0, 30).map(of))).toEqual(new Set(['captured refunded']));
  expect(new Set(orders.slice(30).map(of))).toEqual(new Set(['captured']));
}, 60_000);

test('a provider that is slow keeps nobody but its payers waiting, and they are told that it is; news of orders go on being taken', async () => {
  const before = `${orderId}_before`;
  await world.say(placed(before));
  await settled(admin, before, 'SUCCEEDED');
  await world.say(placed(orderId, { paymentMethod: '' }));
  await settled(admin, orderId, 'PENDING', ({ clientSecret }) => clientSecret !== '');
  await world.fault('payment_intents.confirm', 'delay', { delay_ms: 8_000 });
  const orders = await place(100, 's');
  await until('calls in flight', async () => ((await world.db.query<{ n: bigint }>(sql`SELECT count(*) AS n FROM payment WHERE lease_until > now()`))[0]?.n ?? 0n) >= 40n);
  const hasty = await admin.confirmPayment({ orderId, paymentMethod: 'pm_card_visa', requestId: orderId }, { timeoutMs: 1_500 });
  expect(hasty.payment).toMatchObject({ state: PaymentState.PROCESSING, attempts: 1 });
  const times: number[] = [];
  for (let i = 0; i < 50; i += 1) {
    const start = performance.now();
    await admin.getPayment({ orderId: before });
    times.push(performance.now() - start);
  }
  expect(times.sort((a, b) => a - b)[45]).toBeLessThan(1_000);
  const later = await place(30, 'l');
  await until('later orders to be opened', async () => (await count(later, sql`state = 'PROCESSING'`)) === 30);
  expect(await count(orders, sql`state = 'SUCCEEDED'`), 'the provider has answered nobody yet').toBe(0);
  await world.control('reset', {});
  for (const id of [...orders, ...later, orderId]) await settled(admin, id, 'SUCCEEDED');
  expect(await types()).toEqual(['captured']);
}, 60_000);

describe('webhooks', () => {
  const delivered = (id: string) => world.hooks.seen.filter(({ body }) => body.includes(`"order_id":"${id}"`) || body.includes(`"order_id": "${id}"`));

  test('five times each, at once, have one effect', async () => {
    await world.control('webhooks', { mode: 'duplicate', copies: 5 });
    await world.say(placed(orderId));
    await settled(admin, orderId, 'SUCCEEDED');
    await world.say(cancelled(orderId));
    await refunded();
    await until('all copies', async () => delivered(orderId).filter(({ body }) => body.includes('payment_intent.succeeded')).length >= 5);
    expect(await world.told(orderId)).toEqual(['2 succeeded', '3 refunded']);
  });

  test('turned round end in the same state', async () => {
    await world.control('webhooks', { mode: 'reorder', delay_ms: 300 });
    const orders = await place(20, 'r');
    await world.say(...orders.map(cancelled));
    await until('all to settle', async () => (await count(orders, sql`next_attempt_time IS NULL AND captured = refunded`)) === 20);
    const ledger = await world.ledger();
    for (const id of orders) {
      const sum = (type: string) => ledger.filter((row) => row.order_id === id && row.type === type).length;
      expect(sum('captured')).toBe(sum('refunded'));
      expect(sum('captured')).toBeLessThanOrEqual(1);
    }
  });

  test('that never arrive are not needed: looking finds what the buyer did in the browser', async () => {
    await world.control('webhooks', { mode: 'drop' });
    await world.say(placed(orderId, { paymentMethod: 'pm_card_authenticationRequired' }));
    const { providerPaymentId } = await settled(admin, orderId, 'REQUIRES_ACTION');
    await world.control('stripe/authenticate', { payment_intent: providerPaymentId, outcome: 'succeed' });
    await settled(admin, orderId, 'SUCCEEDED');
    expect(await world.told(orderId)).toEqual(['2 action_required', '3 succeeded']);
  });

  test('forged ones are refused, and genuine ones beside them are not', async () => {
    await world.control('webhooks', { mode: 'forge' });
    await world.say(placed(orderId));
    await settled(admin, orderId, 'SUCCEEDED');
    await until('forgeries', async () => world.hooks.seen.filter(({ status }) => status === 400).length >= 4);
    expect(world.hooks.seen.some(({ status }) => status >= 500)).toBe(false);
  });

  const post = async (body: string, { secret = 'whsec_test', time = Math.floor(Date.now() / 1_000), signature = '' } = {}) => {
    const signed = signature || `t=${time},v1=${createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')}`;
    return (await fetch(`${world.service()?.url}/webhooks/stripe`, { method: 'POST', body, headers: { 'stripe-signature': signed } })).status;
  };
  const hook = (type: string, object: object) => JSON.stringify({ id: `evt_${type}_${Math.random()}`, object: 'event', type, data: { object } });
  const intent = (id: string, more: object) => ({ id, object: 'payment_intent', amount: 2_500, amount_received: 2_500, currency: 'eur', status: 'succeeded', metadata: { order_id: orderId }, client_secret: 's', ...more });

  test('whose signature is missing, old, of the future, of another secret or of another body are refused', async () => {
    const body = hook('payment_intent.succeeded', intent('pi_x', {}));
    const now = Math.floor(Date.now() / 1_000);
    const good = `t=${now},v1=${createHmac('sha256', 'whsec_test').update(`${now}.${body}`).digest('hex')}`;
    expect(await post(body, { signature: 'x' })).toBe(400);
    expect(await post(body, { time: now - 400 })).toBe(400);
    expect(await post(body, { secret: 'whsec_other' })).toBe(400);
    expect(await post(`${body} `, { signature: good })).toBe(400);
    expect(await post(JSON.stringify(JSON.parse(body), null, 1), { signature: good })).toBe(400);
    expect(await post(body, { signature: good })).toBe(200);
    expect((await fetch(`${world.service()?.url}/webhooks/stripe`)).status).toBe(405);
  });

  test('with another amount, currency or order, signed as they may be, move nothing', async () => {
    await world.say(placed(orderId, { paymentMethod: '' }));
    const { providerPaymentId } = await settled(admin, orderId, 'PENDING', ({ clientSecret }) => clientSecret !== '');
    for (const wrong of [{ amount_received: 1 }, { currency: 'usd' }, { metadata: { order_id: 'ord_other' } }, { metadata: {} }]) {
      expect(await post(hook('payment_intent.succeeded', intent(providerPaymentId, wrong)))).toBe(200);
    }
    expect(await post(hook('payment_intent.succeeded', intent('pi_other', {})))).toBe(200);
    expect((await admin.getPayment({ orderId })).payment).toMatchObject({ state: PaymentState.PENDING, captured: eur(0n), version: 1 });
    expect(await world.told(orderId)).toEqual([]);
  });

  test('repeated with the same id do nothing', async () => {
    await world.say(placed(orderId));
    const { providerPaymentId } = await settled(admin, orderId, 'SUCCEEDED');
    const body = hook('refund.created', { id: `re_${orderId}`, object: 'refund', amount: 100, currency: 'eur', payment_intent: providerPaymentId, status: 'succeeded', metadata: {} });
    expect(await Promise.all(Array.from({ length: 8 }, () => post(body)))).toEqual(Array.from({ length: 8 }, () => 200));
    expect((await admin.getPayment({ orderId })).payment?.refunded).toEqual(eur(100n));
    expect(await world.told(orderId)).toEqual(['2 succeeded', '3 refunded']);
  });

  test('of types that nobody knows are taken and forgotten', async () => {
    expect(await post(hook('invoice.paid', { id: 'in_1' }))).toBe(200);
    expect(await post('{"id":"evt_1"}')).toBe(200);
    expect(await post('[]')).toBe(200);
    expect(await post('no json')).toBe(400);
  });
});

test('an order cancelled while a bank is at it gets its money back when the bank has sent it, without any webhook', async () => {
  await world.control('webhooks', { mode: 'drop' });
  await world.say(placed(orderId, { paymentMethod: 'pm_usBankAccount' }));
  await settled(admin, orderId, 'PROCESSING', ({ providerPaymentId }) => providerPaymentId !== '');
  await world.say(cancelled(orderId));
  await refunded();
  expect(await types()).toEqual(['captured', 'refunded']);
});

describe('reconciliation', () => {
  test('finds what no webhook told, says so, and then repairs it', async () => {
    await world.control('webhooks', { mode: 'drop' });
    await world.say(placed(orderId));
    const { providerPaymentId } = await settled(admin, orderId, 'SUCCEEDED');
    await world.stripe('refunds', { payment_intent: providerPaymentId, amount: '900' });
    const stray = await world.stripe('payment_intents', { amount: '2500', currency: 'eur', 'metadata[order_id]': orderId });
    const unknown = await world.stripe('payment_intents', { amount: '77', currency: 'eur' });
    const mine = (report: { discrepancies: { orderId: string; providerPaymentId: string; kind: string; repaired: boolean }[] }) =>
      report.discrepancies.filter((found) => found.orderId === orderId || found.providerPaymentId === unknown['id']).map(({ kind, repaired }) => [kind, repaired]);
    const dry = await admin.reconcile({ dryRun: true });
    expect(dry.repaired).toBe(0);
    expect(mine(dry)).toEqual([['unknown_intent', false], ['unknown_intent', false], ['refund', false]]);
    expect((await admin.getPayment({ orderId })).payment?.refunded).toEqual(eur(0n));
    expect(mine(await admin.reconcile({}))).toEqual([['unknown_intent', false], ['unknown_intent', true], ['refund', true]]);
    expect((await admin.getPayment({ orderId })).payment?.refunded).toEqual(eur(900n));
    expect(mine(await admin.reconcile({}))).toEqual([['unknown_intent', false]]);
    expect(stray['id']).toMatch(/^pi_/);
    expect(await types()).toEqual(['captured', 'refunded', 'canceled']);
  });

  test('says so when the provider does not know an intent of ours', async () => {
    await world.say(placed(orderId));
    const { providerPaymentId } = await settled(admin, orderId, 'SUCCEEDED');
    await world.db.query(sql`UPDATE payment SET provider_payment_id = ${`pi_gone_${orderId}`}, create_time = now() - interval '10 minutes' WHERE order_id = ${orderId}`);
    const { discrepancies } = await admin.reconcile({ dryRun: true, since: timestampFromDate(new Date(Date.now() - 1_200_000)) });
    expect(discrepancies.filter((found) => found.orderId === orderId)).toMatchObject([
      { kind: 'unknown_intent', ours: `pi_gone_${orderId}`, theirs: providerPaymentId, repaired: false },
      { kind: 'unknown_intent', ours: `pi_gone_${orderId}`, theirs: '', repaired: false },
    ]);
  });

  test('of its own accord repairs what is lost between two of its rounds', async () => {
    const other = await openWorld({ reconcileInterval: '200ms' });
    try {
      await other.control('webhooks', { mode: 'drop' });
      await other.say(placed(orderId));
      const { providerPaymentId } = await settled(other.admin, orderId, 'SUCCEEDED');
      await other.stripe('refunds', { payment_intent: providerPaymentId });
      await settled(other.admin, orderId, 'SUCCEEDED', (payment) => payment.refunded?.minorUnits === 2_500n);
      expect(await other.told(orderId)).toEqual(['2 succeeded', '3 refunded']);
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });
});
