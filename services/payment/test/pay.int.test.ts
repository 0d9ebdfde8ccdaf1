// The journey of a payment, through the real service.
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { errorInfo } from '@millrace/chassis/api/errors';
import { sql } from '@millrace/chassis/database/db';
import { PaymentState, RefundState } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import { cancelled, eur, openWorld, placed, refundRequested, settled, until, type PaymentClient, type World } from './world.ts';

let world: World;
let buyer: PaymentClient;
let n = 0;
let orderId = '';
beforeAll(async () => {
  world = await openWorld();
  buyer = await world.client('buyer', 'buyer');
});
afterAll(() => world?.[Symbol.asyncDispose]());
beforeEach(async () => {
  orderId = `ord_${(n += 1)}`;
  await world.control('reset', {});
});

const types = async () => (await world.ledger(orderId)).map((row) => row.type);
const refusal = (error: unknown) => errorInfo(error);

describe('a placed order', () => {
  test('with a payment method is paid, once, and that is told once', async () => {
    await world.say(placed(orderId));
    const payment = await settled(buyer, orderId, 'SUCCEEDED');
    expect(payment).toMatchObject({ captured: eur(2_500n), refunded: eur(0n), attempts: 1, version: 2, provider: 'stripe', clientSecret: '' });
    expect(await world.ledger(orderId)).toMatchObject([{ type: 'captured', amount: 2_500, currency: 'eur', payment_intent: payment.providerPaymentId }]);
    await until('the webhook', async () => world.hooks.seen.some(({ body }) => body.includes('payment_intent.succeeded') && body.includes(`"${orderId}"`)));
    expect(await world.told(orderId)).toEqual(['2 succeeded']);
  });

  test('without a payment method waits for its buyer, with a secret that only they get', async () => {
    await world.say(placed(orderId, { paymentMethod: '' }));
    const payment = await settled(buyer, orderId, 'PENDING', ({ clientSecret }) => clientSecret !== '');
    expect(payment.clientSecret).toMatch(/^pi_.*_secret_/);
    const stranger = await world.client('stranger', 'buyer');
    await expect(stranger.getPayment({ orderId }).catch((error: unknown) => Promise.reject(refusal(error)))).rejects.toMatchObject({ reason: 'NOT_FOUND' });
    const { payments } = await world.admin.listPayments({ states: [PaymentState.PENDING] });
    expect(payments.find((listed) => listed.orderId === orderId)?.clientSecret).toBe('');
    expect(await world.db.query(sql`SELECT subject FROM outbox WHERE body LIKE '%secret%'`)).toEqual([]);
    const { payment: paid } = await buyer.confirmPayment({ orderId, paymentMethod: 'pm_card_visa', requestId: `${orderId}r1` });
    expect(paid).toMatchObject({ state: PaymentState.SUCCEEDED, attempts: 1 });
  });

  test('paid in the browser is found without any call of ours', async () => {
    await world.say(placed(orderId, { paymentMethod: '' }));
    const { providerPaymentId } = await settled(buyer, orderId, 'PENDING', ({ clientSecret }) => clientSecret !== '');
    await world.stripe(`payment_intents/${providerPaymentId}/confirm`, { payment_method: 'pm_card_visa' });
    await settled(buyer, orderId, 'SUCCEEDED');
    expect(await world.told(orderId)).toEqual(['2 succeeded']);
  });

  test('whose card is declined can be paid with another one, and a repeated request pays nothing twice', async () => {
    await world.say(placed(orderId, { paymentMethod: 'pm_card_chargeDeclined' }));
    const failed = await settled(buyer, orderId, 'FAILED');
    expect(failed).toMatchObject({ failureCode: 'card_declined', attempts: 1 });
    expect(failed.failureMessage).not.toBe('');
    const declined = await buyer.confirmPayment({ orderId, paymentMethod: 'pm_card_chargeDeclinedInsufficientFunds', requestId: `${orderId}r1` });
    expect(declined.payment).toMatchObject({ state: PaymentState.FAILED, attempts: 2 });
    expect((await buyer.confirmPayment({ orderId, paymentMethod: 'pm_card_chargeDeclinedInsufficientFunds', requestId: `${orderId}r1` })).payment).toEqual(declined.payment);
    const reused = buyer.confirmPayment({ orderId, paymentMethod: 'pm_card_visa', requestId: `${orderId}r1` }).catch((error: unknown) => refusal(error));
    expect(await reused).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
    const paid = await buyer.confirmPayment({ orderId, paymentMethod: 'pm_card_visa', requestId: `${orderId}r2` });
    expect(paid.payment).toMatchObject({ state: PaymentState.SUCCEEDED, attempts: 3, failureCode: '' });
    expect(await buyer.confirmPayment({ orderId, paymentMethod: 'pm_card_visa', requestId: `${orderId}r2` })).toEqual(paid);
    expect(await types()).toEqual(['declined', 'declined', 'captured']);
    expect(await world.told(orderId)).toEqual(['2 failed', '3 failed', '4 succeeded']);
    expect(refusal(await buyer.confirmPayment({ orderId, paymentMethod: 'pm_card_visa', requestId: `${orderId}r3` }).catch((error: unknown) => error))).toMatchObject({ reason: 'ILLEGAL_TRANSITION', metadata: { state: 'PAYMENT_STATE_SUCCEEDED' } });
  });

  test('whose bank asks for the buyer says where to go, and is paid when they have been there', async () => {
    await world.say(placed(orderId, { paymentMethod: 'pm_card_authenticationRequired' }));
    const waiting = await settled(buyer, orderId, 'REQUIRES_ACTION');
    expect(waiting.actionUrl).toMatch(/^http/);
    await world.control('stripe/authenticate', { payment_intent: waiting.providerPaymentId, outcome: 'succeed' });
    await settled(buyer, orderId, 'SUCCEEDED', ({ actionUrl }) => actionUrl === '');
    expect(await world.told(orderId)).toEqual(['2 action_required', '3 succeeded']);
  });

  test('paid by a bank that takes its time is paid in the end', async () => {
    await world.say(placed(orderId, { paymentMethod: 'pm_usBankAccount' }));
    await settled(buyer, orderId, 'PROCESSING', ({ providerPaymentId }) => providerPaymentId !== '');
    await settled(buyer, orderId, 'SUCCEEDED');
    expect(await world.told(orderId)).toEqual(['2 succeeded']);
  });

  test('with an amount that the provider refuses fails, and is not asked about again and again', async () => {
    await world.say(placed(orderId, { total: eur(100_000_000_000n) }));
    expect(await settled(buyer, orderId, 'FAILED')).toMatchObject({ failureCode: 'amount_too_large' });
  });

  test('that does not exist, or a payment method that is none, is the caller\'s mistake', async () => {
    expect(refusal(await buyer.confirmPayment({ orderId, paymentMethod: 'pm_card_visa', requestId: `${orderId}x` }).catch((error: unknown) => error))).toMatchObject({ reason: 'NOT_FOUND' });
    await world.say(placed(orderId, { paymentMethod: '' }));
    await settled(buyer, orderId, 'PENDING');
    expect((await buyer.confirmPayment({ orderId, paymentMethod: 'pm_nonsense', requestId: `${orderId}y` })).payment).toMatchObject({ state: PaymentState.FAILED, failureCode: 'resource_missing' });
    expect((await buyer.confirmPayment({ orderId, paymentMethod: 'pm_card_visa', requestId: `${orderId}z` })).payment).toMatchObject({ state: PaymentState.SUCCEEDED });
  });
});

test('somebody else\'s order is refused no faster than one that does not exist', async () => {
  const refusedIn = async (id: string) => {
    const began = performance.now();
    const stranger = await world.client('stranger', 'buyer');
    expect(refusal(await stranger.confirmPayment({ orderId: id, paymentMethod: 'pm_card_visa', requestId: `${id}s` }).catch((error: unknown) => error))).toMatchObject({ reason: 'NOT_FOUND' });
    return performance.now() - began;
  };
  await world.say(placed(orderId, { paymentMethod: '' }));
  await settled(buyer, orderId, 'PENDING');
  const [foreign, none] = await Promise.all([refusedIn(orderId), refusedIn(`${orderId}none`)]);
  expect(foreign).toBeGreaterThan(none / 2);
});

describe('a cancelled order', () => {
  test('that was not paid can\'t be paid any more, at the provider neither', async () => {
    await world.say(placed(orderId, { paymentMethod: '' }));
    await settled(buyer, orderId, 'PENDING', ({ clientSecret }) => clientSecret !== '');
    await world.say(cancelled(orderId));
    await settled(buyer, orderId, 'CANCELLED', ({ clientSecret }) => clientSecret === '');
    expect(await types()).toEqual(['canceled']);
    expect(refusal(await buyer.confirmPayment({ orderId, paymentMethod: 'pm_card_visa', requestId: `${orderId}x` }).catch((error: unknown) => error))).toMatchObject({ reason: 'ILLEGAL_TRANSITION', metadata: { state: 'PAYMENT_STATE_CANCELLED' } });
  });

  test('that was paid gets all of its money back, once', async () => {
    await world.say(placed(orderId));
    await settled(buyer, orderId, 'SUCCEEDED');
    await world.say(cancelled(orderId));
    await settled(buyer, orderId, 'SUCCEEDED', ({ refunded }) => refunded?.minorUnits === 2_500n);
    expect(await types()).toEqual(['captured', 'refunded']);
    expect(await world.told(orderId)).toEqual(['2 succeeded', '3 refunded']);
  });

  test('whose cancellation is heard before the order costs nothing', async () => {
    await world.say(cancelled(orderId));
    await settled(buyer, orderId, 'CANCELLED');
    await world.say(placed(orderId));
    await until('the order to be heard', async () => (await world.db.query({ text: 'SELECT 1 FROM payment WHERE order_id = $1 AND due_time > now() + interval \'10 minutes\'', values: [orderId], name: 'due' })).length === 1);
    expect((await buyer.getPayment({ orderId })).payment?.state).toBe(PaymentState.CANCELLED);
    expect(await types()).toEqual([]);
  });

  test('whose due time passes is closed without being told to', async () => {
    await world.say(placed(orderId, { paymentMethod: 'pm_card_chargeDeclined', paymentDueTime: timestampFromDate(new Date(Date.now() + 1_500)) }));
    await settled(buyer, orderId, 'FAILED');
    await settled(buyer, orderId, 'CANCELLED');
    expect(await types()).toEqual(['declined', 'canceled']);
  });
});

describe('refunds', () => {
  test('asked for by order are made, once each, and told with their ids', async () => {
    await world.say(placed(orderId));
    await settled(buyer, orderId, 'SUCCEEDED');
    await world.say(refundRequested(orderId, `${orderId}_a`, 700n), refundRequested(orderId, `${orderId}_a`, 700n), refundRequested(orderId, `${orderId}_b`, 300n));
    await settled(buyer, orderId, 'SUCCEEDED', ({ refunded }) => refunded?.minorUnits === 1_000n);
    const { refunds } = await buyer.listRefunds({ orderId });
    expect(new Map(refunds.map(({ refundId, state, reason }) => [refundId, [state, reason]]))).toEqual(new Map([[`${orderId}_a`, [RefundState.SUCCEEDED, 'damaged']], [`${orderId}_b`, [RefundState.SUCCEEDED, 'damaged']]]));
    expect(await types()).toEqual(['captured', 'refunded', 'refunded']);
    await world.say(cancelled(orderId));
    await settled(buyer, orderId, 'SUCCEEDED', ({ refunded }) => refunded?.minorUnits === 2_500n);
  });

  test('asked for by an operator remember their request, and can\'t be more than is left', async () => {
    await world.say(placed(orderId));
    await settled(buyer, orderId, 'SUCCEEDED');
    const call = { orderId, amount: eur(1_000n), reason: 'late', requestId: `${orderId}r1` };
    const [first, second] = await Promise.all([world.admin.refundPayment(call), world.admin.refundPayment(call)]);
    expect(second.refund?.refundId).toBe(first.refund?.refundId);
    await settled(buyer, orderId, 'SUCCEEDED', ({ refunded }) => refunded?.minorUnits === 1_000n);
    const tooMuch = await world.admin.refundPayment({ orderId, amount: eur(1_501n), requestId: `${orderId}r2` }).catch((error: unknown) => error);
    expect(refusal(tooMuch)).toEqual({ reason: 'REFUND_TOO_LARGE', metadata: { refundable: '1500', currency: 'EUR' } });
    await world.admin.refundPayment({ orderId, requestId: `${orderId}r2` });
    await settled(buyer, orderId, 'SUCCEEDED', ({ refunded }) => refunded?.minorUnits === 2_500n);
    expect(await types()).toEqual(['captured', 'refunded', 'refunded']);
    const buyers = await buyer.refundPayment(call).catch((error: unknown) => error);
    expect(refusal(buyers)).toMatchObject({ reason: 'PERMISSION_DENIED' });
  });

  test('made by hand at the provider, or failed there later, are seen', async () => {
    await world.say(placed(orderId, { paymentMethod: 'pm_card_refundFail' }));
    const { providerPaymentId } = await settled(buyer, orderId, 'SUCCEEDED');
    await world.stripe('refunds', { payment_intent: providerPaymentId, amount: '400' });
    await until('the refund to fail', async () => (await buyer.listRefunds({ orderId })).refunds.some(({ state }) => state === RefundState.FAILED));
    expect((await buyer.getPayment({ orderId })).payment).toMatchObject({ refunded: eur(0n) });
  });
});

test('a dispute is told when it is opened and when it is closed', async () => {
  await world.say(placed(orderId, { paymentMethod: 'pm_card_createDispute' }));
  await settled(buyer, orderId, 'SUCCEEDED', ({ disputed }) => disputed);
  const dispute = JSON.parse(world.hooks.seen.find(({ body }) => body.includes('charge.dispute.created'))?.body ?? '{}') as { data: { object: { id: string } } };
  await world.stripe(`disputes/${dispute.data.object.id}/close`);
  await settled(buyer, orderId, 'SUCCEEDED', ({ disputed }) => !disputed);
  expect(await world.told(orderId)).toEqual(['2 succeeded', '3 disputed', '4 disputed']);
});

test('pages of payments neither repeat nor miss any, and their tokens are only for this list', async () => {
  const seen = new Set<string>();
  let pageToken = '';
  do {
    const page = await world.admin.listPayments({ pageSize: 3, pageToken });
    page.payments.forEach(({ paymentId }) => seen.add(paymentId));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  const all = await world.admin.listPayments({ pageSize: 500 });
  expect([...seen]).toEqual(all.payments.map(({ paymentId }) => paymentId));
  const { nextPageToken } = await world.admin.listPayments({ pageSize: 3 });
  const foreign = await world.admin.listPayments({ pageSize: 3, pageToken: nextPageToken, states: [PaymentState.FAILED] }).catch((error: unknown) => error);
  expect(refusal(foreign)).toMatchObject({ reason: 'INVALID_PAGE_TOKEN' });
});
