import { Code } from '@connectrpc/connect';
import { sql } from '@millrace/chassis/database/db';
import { StockCommittedSchema, StockShortfallSchema } from '@millrace/gen/millrace/inventory/v1/events_pb.js';
import { CancelCause, OrderState, PaymentState, type Order } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { PaymentFailedSchema, PaymentRefundedSchema, PaymentSucceededSchema } from '@millrace/gen/millrace/payment/v1/events_pb.js';
import { PaymentState as ProviderState } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually, refusalOf, startWorld, type World } from './test-support.ts';

let world: World;
let requests = 0;
const TOTAL = 3_000n;
const eur = (minorUnits: bigint) => ({ currencyCode: 'EUR', minorUnits });
const id = () => `r${(requests += 1)}`;

beforeAll(async () => void (world = await startWorld({ mug: { amount: 1_000n } })));
afterAll(() => world.close());
/** Whatever became of an order: it stands among those that wait when it waits, at its time, and nowhere else. */
afterEach(() => world.checkPlaces());

async function place(): Promise<string> {
  const { order } = await world.ada.placeOrder({ requestId: id(), customer: { email: 'ada@example.com' }, lines: [{ sku: 'mug', quantity: 3 }] });
  return order?.orderId ?? '';
}
const snapshot = (captured: bigint, refunded = 0n) => ({ paymentId: 'pay_1', amount: eur(TOTAL), captured: eur(captured), refunded: eur(refunded), state: ProviderState.SUCCEEDED, providerPaymentId: 'pi_1' });
const succeeded = (orderId: string) => world.hear(PaymentSucceededSchema, { orderId, version: 3, payment: snapshot(TOTAL) });
const refunded = (orderId: string, amount = TOTAL, refundId = 'other', version = 4) =>
  world.hear(PaymentRefundedSchema, { orderId, version, payment: snapshot(TOTAL, amount), refundId, refundAmount: eur(amount) });
const committed = (orderId: string) => world.hear(StockCommittedSchema, { orderId, version: 2, lines: [{ sku: 'mug', quantity: 3 }] });
const shortfall = (orderId: string) => world.hear(StockShortfallSchema, { orderId, version: 3, lines: [{ sku: 'mug', quantity: 3 }] });
const cancelled = async (orderId: string) => void (await world.ada.cancelOrder({ orderId, reason: 'changed my mind' }));
const read = async (orderId: string): Promise<Order> => {
  const { order } = await world.admin.getOrder({ orderId });
  if (order === undefined) throw new Error('no order');
  return order;
};
async function paid(): Promise<string> {
  const orderId = await place();
  await succeeded(orderId);
  await committed(orderId);
  return orderId;
}

describe('cancelling', () => {
  test('ends an unpaid order with the words of whoever did it, once', async () => {
    const orderId = await place();
    const { order } = await world.ada.cancelOrder({ orderId, reason: 'changed my mind' });
    expect(order).toMatchObject({ state: OrderState.CANCELLED, cancelCause: CancelCause.BUYER, cancelReason: 'changed my mind', version: 2 });
    expect((await world.ada.cancelOrder({ orderId, reason: 'again' })).order).toEqual(order);
    expect(await world.said(orderId)).toEqual(['placed 1', 'cancelled 2']);
  });

  test('by an operator without a reason has a reason all the same', async () => {
    expect((await world.admin.cancelOrder({ orderId: await place() })).order).toMatchObject({ cancelCause: CancelCause.OPERATOR, cancelReason: 'cancelled by an operator' });
  });

  test('a paid order leaves its money on the way back', async () => {
    const orderId = await paid();
    await cancelled(orderId);
    expect(await read(orderId)).toMatchObject({ state: OrderState.CANCELLED, paymentState: PaymentState.REFUND_PENDING });
    await refunded(orderId);
    expect(await read(orderId)).toMatchObject({ state: OrderState.CANCELLED, paymentState: PaymentState.REFUNDED, refunded: eur(TOTAL) });
    expect(await world.said(orderId)).toEqual(['placed 1', 'confirmed 2', 'cancelled 3']);
  });

  test('a shipped order is refused', async () => {
    const orderId = await paid();
    await world.admin.fulfillOrder({ orderId });
    expect(await refusalOf(world.ada.cancelOrder({ orderId }))).toMatchObject({ code: Code.FailedPrecondition, reason: 'ILLEGAL_TRANSITION', metadata: { state: 'ORDER_STATE_FULFILLED' } });
  });

  test("somebody else's order, or none, is the same NOT_FOUND", async () => {
    const orderId = await place();
    const none = 'ord_none';
    for (const call of [
      (name: string) => world.bob.cancelOrder({ orderId: name }), (name: string) => world.bob.getOrder({ orderId: name }), (name: string) => world.bob.getOrderTimeline({ orderId: name }),
      async (name: string) => { for await (const _ of world.bob.watchOrder({ orderId: name })) throw new Error('it answered'); },
    ]) {
      const [theirs, missing] = [await refusalOf(call(orderId)), await refusalOf(call(none))];
      expect(theirs).toEqual({ code: Code.NotFound, reason: 'NOT_FOUND', metadata: {} });
      expect(missing).toEqual(theirs);
    }
    expect((await read(orderId)).state).toBe(OrderState.PENDING_PAYMENT);
  });

  test('with a request id answers a repeat the same, and refuses another body', async () => {
    const [orderId, requestId] = [await place(), id()];
    const first = await world.ada.cancelOrder({ orderId, reason: 'x', requestId });
    expect(await world.ada.cancelOrder({ orderId, reason: 'x', requestId })).toEqual(first);
    expect(await refusalOf(world.ada.cancelOrder({ orderId, reason: 'y', requestId }))).toMatchObject({ code: Code.AlreadyExists, reason: 'REQUEST_ID_REUSED' });
  });
});

describe('refunding', () => {
  test('an amount, lines, and the rest, never more than was paid', async () => {
    const orderId = await paid();
    const ask = (change: object) => world.admin.refundOrder({ orderId, requestId: id(), ...change });
    expect((await ask({ amount: eur(500n) })).order).toMatchObject({ paymentState: PaymentState.REFUND_PENDING, version: 3 });
    expect((await ask({ lines: [{ sku: 'mug', quantity: 1 }], restock: true })).order?.version).toBe(4);
    expect(await refusalOf(ask({ amount: eur(1_501n) }))).toMatchObject({ code: Code.FailedPrecondition, reason: 'REFUND_TOO_LARGE', metadata: { refundable: '1500', currency: 'EUR' } });
    expect(await refusalOf(ask({ amount: { currencyCode: 'USD', minorUnits: 1n } }))).toMatchObject({ reason: 'INVALID_FIELD' });
    expect((await ask({})).order?.version).toBe(5);
    expect(await refusalOf(ask({}))).toMatchObject({ reason: 'REFUND_TOO_LARGE' });
    const rows = await world.db.query<{ body: string }>(sql`SELECT body FROM outbox WHERE aggregate_id = ${orderId} AND subject LIKE 'orders.refund_requested.%' ORDER BY position`);
    expect(rows.map((row) => JSON.parse(row.body) as unknown)).toMatchObject([
      { amount: { minorUnits: '500' }, actor: 'root', version: 3 }, { amount: { minorUnits: '1000' }, restockLines: [{ sku: 'mug', quantity: 1 }] }, { amount: { minorUnits: '1500' }, version: 5 },
    ]);
  });

  test('is pending until each refund was made', async () => {
    const orderId = await paid();
    await world.admin.refundOrder({ orderId, amount: eur(500n), requestId: id() });
    const [row] = await world.db.query<{ refunds: { refund_id: string }[] }>(sql`SELECT refunds FROM orders WHERE order_id = ${orderId}`);
    await refunded(orderId, 500n, row?.refunds[0]?.refund_id);
    expect(await read(orderId)).toMatchObject({ state: OrderState.CONFIRMED, paymentState: PaymentState.PARTIALLY_REFUNDED, refunded: eur(500n) });
  });

  test('twice under one request id is one refund', async () => {
    const orderId = await paid();
    const body = { orderId, amount: eur(100n), requestId: id() };
    const [one, other] = await Promise.all([world.admin.refundOrder(body), world.admin.refundOrder(body)]);
    expect(other).toEqual(one);
    expect((await world.said(orderId)).filter((said) => said.startsWith('refund'))).toHaveLength(1);
  });

  test('is not for unpaid orders, nor for buyers', async () => {
    const orderId = await place();
    expect(await refusalOf(world.admin.refundOrder({ orderId, requestId: id() }))).toMatchObject({ reason: 'ILLEGAL_TRANSITION', metadata: { state: 'ORDER_STATE_PENDING_PAYMENT' } });
    expect(await refusalOf(world.ada.refundOrder({ orderId, requestId: id() }))).toMatchObject({ code: Code.PermissionDenied });
  });
});

describe('shipping', () => {
  test('ends a paid order whose stock is sold', async () => {
    const orderId = await paid();
    const shipment = { orderId, carrier: 'DHL', trackingNumber: '42' };
    const { order } = await world.admin.fulfillOrder(shipment);
    expect(order).toMatchObject({ state: OrderState.FULFILLED, carrier: 'DHL', trackingNumber: '42', version: 3 });
    expect((await world.admin.fulfillOrder(shipment)).order).toEqual(order);
    expect(await world.said(orderId)).toEqual(['placed 1', 'confirmed 2', 'fulfilled 3']);
  });

  test('waits for the stock, and says when to come back', async () => {
    const orderId = await place();
    expect(await refusalOf(world.admin.fulfillOrder({ orderId }))).toMatchObject({ reason: 'ILLEGAL_TRANSITION' });
    await succeeded(orderId);
    expect(await refusalOf(world.admin.fulfillOrder({ orderId }))).toMatchObject({ code: Code.Unavailable, reason: 'STOCK_NOT_COMMITTED' });
  });
});

describe('two facts that cross', () => {
  const facts: [string, (orderId: string) => Promise<unknown>][] = [
    ['payment', succeeded], ['refund', (orderId) => refunded(orderId)], ['sale', committed], ['shortfall', shortfall], ['cancellation', cancelled],
    ['decline', (orderId) => world.hear(PaymentFailedSchema, { orderId, version: 2, payment: { ...snapshot(0n), state: ProviderState.FAILED, failureCode: 'card_declined' } })],
  ];
  const impossible = (one: string, other: string) => [one, other].toSorted().join() === 'sale,shortfall';
  const pairs = facts.flatMap(([one, first], i) => facts.slice(i + 1).flatMap(([other, second]) => (impossible(one, other) ? [] : [[one, other, first, second] as const])));

  test.each(pairs)('%s and %s end the same in both orders', async (_one, _other, first, second) => {
    const [a, b] = [await place(), await place()];
    await first(a);
    await second(a);
    await second(b);
    await first(b);
    const essence = async (orderId: string) => {
      const { state, paymentState, refunded: back } = await read(orderId);
      return { state, paymentState, back };
    };
    expect(await essence(b)).toEqual(await essence(a));
    for (const orderId of [a, b]) {
      const versions = (await world.said(orderId)).map((said) => Number(said.split(' ')[1]));
      expect(versions).toEqual(versions.toSorted((x, y) => x - y));
      expect((await read(orderId)).version).toBeGreaterThanOrEqual(versions.at(-1) ?? 0);
    }
  });

  test('a batch of many facts about many orders is applied at once, each order in its own sequence', async () => {
    const orders = await Promise.all(Array.from({ length: 60 }, place));
    const both = orders.flatMap((orderId) => [{ orderId, version: 1, payment: { ...snapshot(0n), state: ProviderState.PROCESSING } }, { orderId, version: 3, payment: snapshot(TOTAL) }]);
    await world.hear(PaymentSucceededSchema, ...both, { orderId: 'ord_unknown', version: 1, payment: snapshot(TOTAL) });
    for (const orderId of orders) expect(await read(orderId)).toMatchObject({ state: OrderState.CONFIRMED, version: 3 });
    expect(await world.said(orders[0] ?? '')).toEqual(['placed 1', 'confirmed 3']);
  });

  test('a payment in another currency, or in a state that nobody knows, is not applied', async () => {
    const orderId = await place();
    const usd = { currencyCode: 'USD', minorUnits: TOTAL };
    await expect(world.hear(PaymentSucceededSchema, { orderId, version: 3, payment: { ...snapshot(TOTAL), amount: usd, captured: usd } })).rejects.toThrow('USD');
    await expect(world.hear(PaymentSucceededSchema, { orderId, version: 3, payment: { ...snapshot(TOTAL), state: 99 as ProviderState } })).rejects.toThrow('newer');
    expect((await read(orderId)).version).toBe(1);
  });
});

describe('an order that is not paid in time', () => {
  test('is cancelled by the database clock, and paid late it is refunded', async () => {
    const orderId = await place();
    await world.makeDue([orderId], 1_000);
    await eventually('the expiry', async () => (await read(orderId)).state === OrderState.CANCELLED);
    expect(await read(orderId)).toMatchObject({ cancelCause: CancelCause.EXPIRED, cancelReason: 'not paid in time', version: 2 });
    expect(await world.said(orderId)).toEqual(['placed 1', 'cancelled 2']);
    await succeeded(orderId);
    expect((await read(orderId)).paymentState).toBe(PaymentState.REFUND_PENDING);
  });

  test('in its last moment is either paid or cancelled, never both', async () => {
    const orders = await Promise.all(Array.from({ length: 20 }, place));
    await Promise.all([
      world.makeDue(orders, 1_000),
      ...orders.map((orderId) => succeeded(orderId)),
    ]);
    for (const orderId of orders) {
      await eventually('a decision', async () => (await read(orderId)).state !== OrderState.PENDING_PAYMENT);
      const { state, paymentState } = await read(orderId);
      expect([[OrderState.CONFIRMED, PaymentState.PAID], [OrderState.CANCELLED, PaymentState.REFUND_PENDING]]).toContainEqual([state, paymentState]);
    }
  });
});
