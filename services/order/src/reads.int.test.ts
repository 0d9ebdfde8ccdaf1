import { Code } from '@connectrpc/connect';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { StockCommittedSchema, StockReleasedSchema } from '@millrace/gen/millrace/inventory/v1/events_pb.js';
import { ReleaseReason } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { NotificationSentSchema } from '@millrace/gen/millrace/notification/v1/events_pb.js';
import { NotificationChannel, NotificationKind } from '@millrace/gen/millrace/notification/v1/notification_pb.js';
import { OrderState, type ListOrdersRequest, type Order } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { PaymentFailedSchema, PaymentSucceededSchema } from '@millrace/gen/millrace/payment/v1/events_pb.js';
import { PaymentState as ProviderState } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGetOrder } from './get-order.ts';
import { listStuckOrders } from './list-stuck-orders.ts';
import { refusalOf, startWorld, type World } from './test-support.ts';
import { createWatchOrder } from './watch-order.ts';

let world: World;
let requests = 0;
const eur = (minorUnits: bigint) => ({ currencyCode: 'EUR', minorUnits });
const paidInFull = { paymentId: 'pay_1', amount: eur(1_000n), captured: eur(1_000n), state: ProviderState.SUCCEEDED, providerPaymentId: 'pi_1' };

beforeAll(async () => void (world = await startWorld({ mug: { amount: 1_000n } })));
afterAll(() => world.close());

async function place(as = world.ada, customer: Record<string, string> = {}): Promise<string> {
  const { order } = await as.placeOrder({ requestId: `r${(requests += 1)}`, customer, lines: [{ sku: 'mug', quantity: 1 }] });
  return order?.orderId ?? '';
}
const idsOf = (orders: Order[]) => orders.map((order) => order.orderId);

describe('the list', () => {
  const page = async (as: World['ada'], filter: Partial<Omit<ListOrdersRequest, '$typeName'>>) => as.listOrders(filter);
  async function all(as: World['ada'], filter: Partial<Omit<ListOrdersRequest, '$typeName'>>, between: () => Promise<unknown> = async () => {}): Promise<string[]> {
    const found: string[] = [];
    for (let pageToken = ''; ; ) {
      const { orders, nextPageToken } = await page(as, { ...filter, pageToken });
      found.push(...idsOf(orders));
      if (nextPageToken === '') return found;
      pageToken = nextPageToken;
      await between();
    }
  }

  test('goes from the newest to the oldest, and shows each once while others are placed', async () => {
    const eve = await world.as('eve');
    const placed: string[] = [];
    for (let i = 0; i < 23; i += 1) placed.push(await place(eve));
    const batch = await Promise.all(Array.from({ length: 20 }, () => place(eve)));
    const found = await all(eve, { pageSize: 5 }, () => place(eve));
    expect(new Set(found.slice(0, 20))).toEqual(new Set(batch));
    expect(found.slice(20)).toEqual(placed.toReversed());
    expect(new Set(found).size).toBe(found.length);
  });

  test('is of their own for buyers, whoever they ask for', async () => {
    const [carl, dora] = [await world.as('carl'), await world.as('dora')];
    const mine = await place(carl);
    const hers = await place(dora);
    expect(idsOf((await page(carl, { customerId: 'dora' })).orders)).toEqual([mine]);
    expect(idsOf((await page(world.admin, { customerId: 'dora' })).orders)).toEqual([hers]);
  });

  test('finds by the beginning of an id, an address or a name, and by nothing else in them', async () => {
    const fred = await world.as('fred');
    const orderId = await place(fred, { email: 'Fred_1@Example.com', name: 'Fréd 100% Sure' });
    await place(fred, { email: 'fredx1@example.com', name: 'Somebody' });
    for (const query of [orderId, orderId.slice(0, 12), 'fred_1', 'FRED_', 'fréd 100%']) expect(idsOf((await page(fred, { query })).orders)).toEqual([orderId]);
    for (const query of ['example.com', '%', '_red', '100', "' OR true --", '\\']) expect((await page(fred, { query })).orders).toEqual([]);
    expect((await page(fred, { query: 'ord_' })).orders).toHaveLength(2);
  });

  test('keeps to states and times', async () => {
    const gil = await world.as('gil');
    const [open, gone] = [await place(gil), await place(gil)];
    await gil.cancelOrder({ orderId: gone });
    expect(idsOf((await page(gil, { states: [OrderState.CANCELLED] })).orders)).toEqual([gone]);
    const { order } = await gil.getOrder({ orderId: gone });
    expect(idsOf((await page(gil, { createdAfter: order?.createTime })).orders)).toEqual([gone]);
    expect(idsOf((await page(gil, { createdBefore: order?.createTime })).orders)).toEqual([open]);
    expect(await refusalOf(page(gil, { createdAfter: { $typeName: 'google.protobuf.Timestamp', seconds: 2n ** 62n, nanos: 0 } }))).toMatchObject({ reason: 'INVALID_FIELD' });
  });

  test('refuses page tokens that are not its own', async () => {
    const hal = await world.as('hal');
    await Promise.all([place(hal), place(hal)]);
    const { nextPageToken } = await page(hal, { pageSize: 1 });
    const foreign = [
      () => page(hal, { pageToken: 'rubbish' }), () => page(hal, { pageToken: nextPageToken, query: 'x' }),
      () => page(world.ada, { pageToken: nextPageToken }), () => world.admin.listStuckOrders({ pageToken: nextPageToken }),
    ];
    for (const call of foreign) {
      expect(await refusalOf(call())).toMatchObject({ code: Code.InvalidArgument, reason: 'INVALID_PAGE_TOKEN' });
    }
  });
});

describe('the timeline', () => {
  test('tells what all services said, who did it, and what the order waits for', async () => {
    const orderId = await place();
    await world.hear(PaymentFailedSchema, { orderId, version: 2, payment: { ...paidInFull, captured: eur(0n), state: ProviderState.FAILED, failureCode: 'card_declined', attempts: 1 } });
    expect(await world.ada.getOrderTimeline({ orderId })).toMatchObject({ waitingFor: 'the buyer to try to pay again; then it is cancelled' });
    await world.hear(PaymentSucceededSchema, { orderId, version: 3, payment: paidInFull });
    expect((await world.ada.getOrderTimeline({ orderId })).waitingFor).toBe('inventory to book the sale of its stock');
    await world.hear(StockCommittedSchema, { orderId, version: 2, lines: [{ sku: 'mug', quantity: 1 }] });
    await world.hear(NotificationSentSchema, { notificationId: 'n1', version: 2, orderId, kind: NotificationKind.PAYMENT_CONFIRMATION, channel: NotificationChannel.EMAIL, providerMessageId: 'pm-1' });
    await world.hear(NotificationSentSchema, { notificationId: 'n2', version: 2, kind: NotificationKind.LOW_STOCK, channel: NotificationChannel.EMAIL });
    expect((await world.ada.getOrderTimeline({ orderId })).waitingFor).toBe('an operator to ship it');
    await world.admin.cancelOrder({ orderId, reason: 'recalled' });
    await world.hear(StockReleasedSchema, { orderId, version: 3, restocked: true, reason: ReleaseReason.ORDER_CANCELLED });

    const { entries, waitingFor, waitingUntil } = await world.ada.getOrderTimeline({ orderId });
    expect(entries.map(({ kind, source, actor }) => [kind, source, actor])).toEqual([
      ['orders.placed', 'order', 'ada'], ['payments.failed', 'payment', 'payment'], ['payments.succeeded', 'payment', 'payment'], ['orders.confirmed', 'order', 'order'],
      ['inventory.committed', 'inventory', 'inventory'], ['notifications.sent', 'notification', 'notification'], ['orders.cancelled', 'order', 'root'], ['inventory.released', 'inventory', 'inventory'],
    ]);
    expect(entries.find((entry) => entry.kind === 'payments.failed')).toMatchObject({ summary: 'Payment failed: card_declined', detail: { provider_payment_id: 'pi_1', failure_code: 'card_declined', attempts: '1' } });
    expect(entries.every((entry) => /^[0-9a-f-]{36}$/.test(entry.eventId))).toBe(true);
    expect(entries.find((entry) => entry.kind === 'notifications.sent')).toMatchObject({ summary: 'Sent: payment confirmation by mail', detail: { provider_message_id: 'pm-1' } });
    expect(waitingFor).toBe('the payment provider to give the money back');
    expect(waitingUntil && timestampDate(waitingUntil).getTime()).toBeGreaterThan(Date.now());
  });

  test('of an order that is over waits for nothing', async () => {
    const orderId = await place();
    await world.ada.cancelOrder({ orderId });
    const { waitingFor, waitingUntil } = await world.ada.getOrderTimeline({ orderId });
    expect([waitingFor, waitingUntil]).toEqual(['', undefined]);
  });
});

describe('stuck orders', () => {
  test('are those past their time and the tolerance, longest first, page by page', async () => {
    const orders = await Promise.all(Array.from({ length: 5 }, () => place()));
    await Promise.all(orders.map((orderId, i) => world.makeDue([orderId], (i + 2) * 60_000, false)));
    const recent = await place();
    await world.makeDue([recent], 1_000, false);
    const first = await world.admin.listStuckOrders({ pageSize: 3 });
    const rest = await world.admin.listStuckOrders({ pageSize: 3, pageToken: first.nextPageToken });
    expect([...first.orders, ...rest.orders].map(({ order }) => order?.orderId)).toEqual(orders.toReversed());
    expect(first.orders[0]).toMatchObject({ waitingFor: 'the buyer to pay; then it is cancelled', dueTime: expect.anything() as object });
    expect((await listStuckOrders(world.db, { pageSize: 0, pageToken: '' }, 0)).orders.map((order) => order.orderId)).toContain(recent);
    expect(await refusalOf(world.ada.listStuckOrders({}))).toMatchObject({ code: Code.PermissionDenied });
    await Promise.all([...orders, recent].map((orderId) => world.ada.cancelOrder({ orderId })));
  });
});

describe('a watch', () => {
  const versionsOf = async (watch: AsyncIterable<{ order?: Order }>): Promise<number[]> => {
    const versions: number[] = [];
    for await (const { order } of watch) if (order) versions.push(order.version);
    return versions;
  };

  test('says the order now and whenever it changes, and ends with it', async () => {
    const orderId = await place();
    const watch = world.ada.watchOrder({ orderId })[Symbol.asyncIterator]();
    const next = async () => (await watch.next()).value?.order;
    expect(await next()).toMatchObject({ version: 1, state: OrderState.PENDING_PAYMENT });
    // Heard by another instance: this one notices when it looks again.
    await world.hear(PaymentSucceededSchema, { orderId, version: 3, payment: paidInFull });
    expect(await next()).toMatchObject({ version: 2, state: OrderState.CONFIRMED });
    await world.hear(StockCommittedSchema, { orderId, version: 2 });
    const told = performance.now();
    await world.admin.fulfillOrder({ orderId, carrier: 'DHL' });
    expect(await next()).toMatchObject({ version: 3, state: OrderState.FULFILLED });
    expect(performance.now() - told).toBeLessThan(1_500);
    expect((await watch.next()).done).toBe(true);
  });

  test('goes on after the version that was seen last', async () => {
    const orderId = await place();
    await world.ada.cancelOrder({ orderId });
    expect(await versionsOf(world.ada.watchOrder({ orderId, afterVersion: 1 }))).toEqual([2]);
    expect(await versionsOf(world.ada.watchOrder({ orderId, afterVersion: 2 }))).toEqual([]);
    expect(await versionsOf(world.ada.watchOrder({ orderId }))).toEqual([2]);
  });

  test('interrupted again and again misses no end and repeats no version', async () => {
    const orderId = await place();
    const seen: number[] = [];
    const follow = async () => {
      for (let over = false; !over; ) {
        const cut = new AbortController();
        try {
          for await (const { order } of world.ada.watchOrder({ orderId, afterVersion: seen.at(-1) ?? 0 }, { signal: cut.signal })) {
            if (order) seen.push(order.version);
            if (order?.state === OrderState.CANCELLED && order.version === 4) over = true;
            cut.abort();
          }
        } catch (error) {
          if (!cut.signal.aborted) throw error;
        }
      }
    };
    const following = follow();
    await world.hear(PaymentSucceededSchema, { orderId, version: 3, payment: paidInFull });
    await world.ada.cancelOrder({ orderId });
    await world.hear(PaymentSucceededSchema, { orderId, version: 5, payment: { ...paidInFull, refunded: eur(1_000n) } });
    await following;
    expect(seen).toEqual([...new Set(seen)].toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBe(4);
  });

  test('shows that it lives when nothing happens, and refuses one too many', async () => {
    const orderId = await place();
    const watchOrder = createWatchOrder({ getOrder: createGetOrder(world.db), changes: { wait: async () => false }, heartbeatMs: 1, pollMs: 1, maxWatchers: 1 });
    const stop = new AbortController();
    const ada = { subject: 'ada', role: 'buyer' } as const;
    const watch = watchOrder(ada, orderId, 1, stop.signal);
    expect(await watch.next()).toEqual({ done: false, value: undefined });
    await expect(watchOrder(ada, orderId, 0, stop.signal).next()).rejects.toMatchObject({ reason: 'OVERLOADED' });
    stop.abort();
    expect((await watch.next()).done).toBe(true);
  });
});
