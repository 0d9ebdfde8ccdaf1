import { Code } from '@connectrpc/connect';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { sql } from '@millrace/chassis/database/db';
import { OrderState, PaymentState } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refusalOf, startWorld, type World } from './test-support.ts';

let world: World;
let requests = 0;
const request = (change: Record<string, unknown> = {}) => ({ requestId: `r${(requests += 1)}`, customer: { name: 'Ada', email: 'Ada@example.com' }, lines: [{ sku: 'mug', quantity: 2 }], ...change });

beforeAll(async () => {
  world = await startWorld({
    mug: { amount: 1_500n }, cap: { amount: 2_000n }, old: { archived: true }, usd: { currency: 'USD' }, last: { available: 3 }, car: { amount: 1_000_000_000_000n }, late: { stocked: false },
  });
});
afterAll(() => world.close());

describe('an order', () => {
  test('is priced, held, stored, said and answered', async () => {
    const { order } = await world.ada.placeOrder(request({ lines: [{ sku: 'mug', quantity: 1 }, { sku: 'cap', quantity: 1 }, { sku: 'mug', quantity: 1 }], shippingAddress: { city: 'Ulm', countryCode: 'DE' }, note: 'ring twice', paymentMethod: 'pm_card_visa' }));
    expect(order).toMatchObject({
      orderId: expect.stringMatching(/^ord_[a-z2-7]{26}$/) as string, customer: { customerId: 'ada', name: 'Ada', email: 'Ada@example.com' }, state: OrderState.PENDING_PAYMENT,
      paymentState: PaymentState.UNPAID, version: 1, total: { currencyCode: 'EUR', minorUnits: 5_000n }, note: 'ring twice', shippingAddress: { city: 'Ulm', countryCode: 'DE' },
      lines: [{ sku: 'mug', name: 'The mug', quantity: 2, unitPrice: { minorUnits: 1_500n }, lineTotal: { minorUnits: 3_000n } }, { sku: 'cap', quantity: 1, lineTotal: { minorUnits: 2_000n } }],
    });
    expect((await world.ada.getOrder({ orderId: order?.orderId })).order).toEqual(order);
    expect(await world.said(order?.orderId ?? '')).toEqual(['placed 1']);
    const { entries } = await world.ada.getOrderTimeline({ orderId: order?.orderId });
    expect(entries).toMatchObject([{ kind: 'orders.placed', source: 'order', actor: 'ada', summary: 'Placed for 50.00 EUR; its stock is held' }]);
  });

  test('holds its stock longer than it may stay unpaid', async () => {
    const { order } = await world.ada.placeOrder(request());
    const due = order?.paymentDueTime ? timestampDate(order.paymentDueTime).getTime() : 0;
    const placed = order?.createTime ? timestampDate(order.createTime).getTime() : 0;
    expect(Math.abs(due - placed - 30 * 60_000)).toBeLessThan(5_000);
    expect(world.holds.get(order?.orderId ?? '')?.holdUntil.getTime()).toBe(due + 5 * 60_000);
  });

  test('is placed by a back end for anybody, and for itself when it names nobody', async () => {
    expect((await world.service.placeOrder(request({ customer: { customerId: 'bob' } }))).order?.customer?.customerId).toBe('bob');
    expect((await world.service.placeOrder(request())).order?.customer?.customerId).toBe('shop');
  });
});

describe('a refusal', () => {
  test.each<[string, Record<string, unknown>, Code, string, Record<string, string>]>([
    ['an unknown product', { lines: [{ sku: 'hat', quantity: 1 }] }, Code.InvalidArgument, 'UNKNOWN_SKU', { sku: 'hat' }],
    ['an archived product', { lines: [{ sku: 'old', quantity: 1 }] }, Code.FailedPrecondition, 'PRODUCT_ARCHIVED', { sku: 'old' }],
    ['not enough stock', { lines: [{ sku: 'last', quantity: 4 }] }, Code.FailedPrecondition, 'OUT_OF_STOCK', { sku: 'last', requested: '4', available: '3' }],
    ['another price than expected', { expectedTotal: { currencyCode: 'EUR', minorUnits: 2_999n } }, Code.FailedPrecondition, 'PRICE_CHANGED', { expected: '2999', actual: '3000', currency: 'EUR' }],
    ['mixed currencies', { lines: [{ sku: 'mug', quantity: 1 }, { sku: 'usd', quantity: 1 }] }, Code.InvalidArgument, 'MIXED_CURRENCIES', { currencies: 'EUR,USD' }],
    ['a total that is too large', { lines: [{ sku: 'car', quantity: 2 }] }, Code.InvalidArgument, 'TOTAL_TOO_LARGE', {}],
    ['too many units in several lines', { lines: [{ sku: 'mug', quantity: 1_000_000 }, { sku: 'mug', quantity: 1 }] }, Code.InvalidArgument, 'INVALID_FIELD', { sku: 'mug' }],
    ['a buyer who names another', { customer: { customerId: 'bob' } }, Code.PermissionDenied, 'PERMISSION_DENIED', {}],
    ['a product without a stock record yet', { lines: [{ sku: 'late', quantity: 1 }] }, Code.Unavailable, 'DEPENDENCY_UNAVAILABLE', {}],
    ['no units', { lines: [{ sku: 'mug', quantity: 0 }] }, Code.InvalidArgument, 'INVALID_FIELD', expect.any(Object) as Record<string, string>],
    ['negative units', { lines: [{ sku: 'mug', quantity: -1 }] }, Code.InvalidArgument, 'INVALID_FIELD', expect.any(Object) as Record<string, string>],
    ['no lines', { lines: [] }, Code.InvalidArgument, 'INVALID_FIELD', expect.any(Object) as Record<string, string>],
    ['ten thousand lines', { lines: Array.from({ length: 10_000 }, () => ({ sku: 'mug', quantity: 1 })) }, Code.InvalidArgument, 'INVALID_FIELD', expect.any(Object) as Record<string, string>],
    ['no request id', { requestId: '' }, Code.InvalidArgument, 'INVALID_FIELD', expect.any(Object) as Record<string, string>],
    ['a text that no database can store', { note: 'a\0b' }, Code.InvalidArgument, 'INVALID_FIELD', expect.any(Object) as Record<string, string>],
  ])('of %s has its code, reason and metadata, and leaves nothing behind', async (_, change, code, reason, metadata) => {
    const before = world.holds.size;
    expect(await refusalOf(world.ada.placeOrder(request(change)))).toEqual({ code, reason, metadata });
    expect(world.holds.size).toBe(before);
  });

  test('in a batch leaves its neighbours alone', async () => {
    const results = await Promise.allSettled(Array.from({ length: 30 }, (_, i) => world.ada.placeOrder(request({ lines: [{ sku: i % 3 === 0 ? 'hat' : i % 3 === 1 ? 'mug' : 'last', quantity: i % 3 === 2 ? 9 : 1 }] }))));
    expect(results.map((result) => result.status)).toEqual(Array.from({ length: 30 }, (_, i) => (i % 3 === 1 ? 'fulfilled' : 'rejected')));
  });

  test('because a neighbour is away says so and when to come back', async () => {
    for (const name of ['products', 'inventory'] as const) {
      world.failing[name] = new Error('connection refused');
      expect(await refusalOf(world.ada.placeOrder(request()))).toMatchObject({ code: Code.Unavailable, reason: 'DEPENDENCY_UNAVAILABLE' });
      delete world.failing[name];
    }
  });
});

describe('the request id', () => {
  test('answers the same order to the same body, also after it has moved on', async () => {
    const body = request();
    const { order } = await world.ada.placeOrder(body);
    expect((await world.ada.placeOrder(body)).order).toEqual(order);
    const { order: cancelled } = await world.ada.cancelOrder({ orderId: order?.orderId });
    expect((await world.ada.placeOrder(body)).order).toEqual(cancelled);
  });

  test('with another body is refused, whatever the caller asks for', async () => {
    const body = request();
    await world.ada.placeOrder(body);
    const refused = { code: Code.AlreadyExists, reason: 'REQUEST_ID_REUSED', metadata: { request_id: body.requestId } };
    expect(await refusalOf(world.ada.placeOrder({ ...body, note: 'other' }))).toEqual(refused);
    expect(await refusalOf(world.ada.placeOrder({ ...body, lines: [{ sku: 'hat', quantity: 1 }] }))).toEqual(refused);
  });

  test("is the caller's own: another caller's same id is another order", async () => {
    const body = request();
    const [one, other] = await Promise.all([world.ada.placeOrder(body), world.bob.placeOrder(body)]);
    expect(one.order?.orderId).not.toBe(other.order?.orderId);
  });

  test('sent twenty times at once makes one order and one hold', async () => {
    const body = request();
    const answers = await Promise.all(Array.from({ length: 20 }, () => world.ada.placeOrder(body)));
    const [first] = answers;
    for (const answer of answers) expect(answer).toEqual(first);
    expect(await world.said(first?.order?.orderId ?? '')).toEqual(['placed 1']);
    const [count] = await world.db.query<{ n: bigint }>(sql`SELECT count(*) AS n FROM orders WHERE placed_by = 'ada' AND request_id = ${body.requestId}`);
    expect(count?.n).toBe(1n);
  });

  test('sent with ten bodies at once makes one order, and gives the holds of the others back', async () => {
    const body = request();
    const before = world.holds.size;
    const results = await Promise.allSettled(Array.from({ length: 10 }, (_, i) => world.ada.placeOrder({ ...body, note: `${i}` })));
    const rejected = results.filter((result) => result.status === 'rejected');
    expect(rejected).toHaveLength(9);
    for (const { reason } of rejected) expect(reason).toMatchObject({ code: Code.AlreadyExists });
    expect(world.holds.size).toBe(before + 1);
  });

  test('is not burnt by an attempt that failed', async () => {
    const body = request({ lines: [{ sku: 'soon', quantity: 1 }] });
    expect(await refusalOf(world.ada.placeOrder(body))).toMatchObject({ reason: 'UNKNOWN_SKU' });
    world.shop.set('soon', { available: 0 });
    expect(await refusalOf(world.ada.placeOrder(body))).toMatchObject({ reason: 'OUT_OF_STOCK' });
    world.shop.set('soon', { available: 1 });
    expect((await world.ada.placeOrder(body)).order?.version).toBe(1);
  });

  test('finds its own hold again after a crash between hold and insert', async () => {
    const body = request({ lines: [{ sku: 'last', quantity: 3 }] });
    // The database refuses the insert, as it would for a process that died before it.
    await world.db.query(sql`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$`);
    await world.db.query(sql`CREATE TRIGGER refuse BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION refuse()`);
    expect(await refusalOf(world.ada.placeOrder(body))).toMatchObject({ code: Code.Internal });
    await world.db.query(sql`DROP TRIGGER refuse ON orders`);
    const held = [...world.holds.keys()].at(-1);
    expect(await refusalOf(world.bob.placeOrder(body))).toMatchObject({ reason: 'OUT_OF_STOCK' });
    expect((await world.ada.placeOrder(body)).order?.orderId).toBe(held);
    expect(world.calls.released).not.toContain(held);
  });

  test('of calls that come together shares look-ups, prices, holds and inserts', async () => {
    const before = { ...world.calls };
    await Promise.all(Array.from({ length: 200 }, () => world.ada.placeOrder(request())));
    expect(world.calls.reservations - before.reservations).toBe(200);
    expect(world.calls.reserve - before.reserve).toBeLessThan(60);
    expect(world.calls.products - before.products).toBeLessThan(60);
  });
});
