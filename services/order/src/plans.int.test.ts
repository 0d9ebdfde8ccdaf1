// No statement of this service may grow dearer with the number of orders: each is explained on tables of tens of thousands of rows.
import { openDatabase } from '@millrace/chassis/database/db';
import { StockCommittedSchema } from '@millrace/gen/millrace/inventory/v1/events_pb.js';
import { NotificationSentSchema } from '@millrace/gen/millrace/notification/v1/events_pb.js';
import { OrderState } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { PaymentSucceededSchema } from '@millrace/gen/millrace/payment/v1/events_pb.js';
import { PaymentState } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { createLog } from '@millrace/chassis/telemetry/log';
import { expect, test } from 'vitest';
import { enlarge, recordStatements, scansOf } from '../../../chassis/test/plans.ts';
import { createDatabase } from '../../../test/support/servers.ts';
import { expireOrders } from './expire-orders.ts';
import { createRecord } from './record.ts';
import { startWorld } from './test-support.ts';

const TABLES = ['orders', 'order_due', 'timeline', 'outbox', 'inbox', 'request_memory'];
/** Of about ten orders each. */
const COPIES = 2_000;

test('every statement finds its rows by an index', async () => {
  await using database = await createDatabase('order');
  await using world = await startWorld({ 'fill-mug': { amount: 1_000n } }, { DATABASE_URL: database.url });
  const log = createLog('test', 'fatal');
  const recorded = recordStatements();
  const eur = (minorUnits: bigint) => ({ currencyCode: 'EUR', minorUnits });
  const place = async (n: number) => (await world.ada.placeOrder({ requestId: `fill-r${n}`, customer: { email: `fill-c${n}@example.com`, name: 'Ada' }, lines: [{ sku: 'fill-mug', quantity: 1 }] })).order?.orderId ?? '';
  const ids = await Promise.all(Array.from({ length: 10 }, (_, n) => place(n)));
  const [paid = '', refunded = '', cancelled = '', shipped = ''] = ids;
  const payment = { paymentId: 'pay_1', amount: eur(1_000n), captured: eur(1_000n), state: PaymentState.SUCCEEDED, providerPaymentId: 'pi_1' };
  await world.hear(PaymentSucceededSchema, ...[paid, refunded, shipped].map((orderId) => ({ orderId, version: 2, payment })));
  await world.hear(StockCommittedSchema, { orderId: shipped, version: 2, lines: [{ sku: 'fill-mug', quantity: 1 }] });
  await world.hear(NotificationSentSchema, { orderId: paid, version: 2, notificationId: 'ntf_1' });
  await world.ada.placeOrder({ requestId: 'fill-r0', customer: { email: 'fill-c0@example.com', name: 'Ada' }, lines: [{ sku: 'fill-mug', quantity: 1 }] });
  await world.ada.cancelOrder({ orderId: cancelled, requestId: 'fill-cancel' });
  await world.admin.refundOrder({ orderId: refunded, amount: eur(500n), reason: 'late', requestId: 'fill-refund' });
  await world.admin.fulfillOrder({ orderId: shipped, carrier: 'DHL', trackingNumber: '1' });
  await world.ada.getOrder({ orderId: paid });
  await world.ada.getOrderTimeline({ orderId: paid });
  const { nextPageToken } = await world.admin.listOrders({ pageSize: 1 });
  await world.admin.listOrders({ pageSize: 1, pageToken: nextPageToken });
  await world.ada.listOrders({ states: [OrderState.CONFIRMED], createdAfter: timestampFromDate(new Date(0)) });
  await world.admin.listOrders({ customerId: 'ada' });
  await world.admin.listOrders({ query: 'fill-c1@example.com' });
  await world.admin.listStuckOrders({});
  await expireOrders(world.db, createRecord({ notify() {} }), log).tick();
  recorded.stop();
  await enlarge(database.url, COPIES);
  const db = openDatabase(database.url, log);
  expect(recorded.statements.size).toBeGreaterThan(20);
  expect(await scansOf(db, recorded.statements, TABLES)).toEqual([]);
  // What has no index is found out.
  expect(await scansOf(db, new Set(['SELECT order_id FROM orders WHERE note = $1', 'SELECT count(*) FROM timeline']), TABLES)).toHaveLength(2);
  // Which index finds a beginning depends on the beginning.
  const searches = async () => Number((await db.pool.query<{ n: string }>("SELECT idx_scan AS n FROM pg_stat_user_indexes WHERE indexrelname = 'orders_email_key_idx'")).rows[0]?.n);
  const before = await searches();
  expect((await world.admin.listOrders({ query: 'fill-c1@example.com' })).orders.length).toBeGreaterThan(0);
  await expect.poll(searches, { timeout: 30_000 }).toBeGreaterThan(before);
  await db.close();
}, 120_000);
