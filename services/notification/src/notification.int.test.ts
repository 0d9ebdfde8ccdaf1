// The whole service: events in, mails and text messages out, reports back, RPCs.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Client } from '@connectrpc/connect';
import { errorInfo } from '@millrace/chassis/api/errors';
import { createServiceClient } from '@millrace/chassis/clients/service-client';
import { type Database, openDatabase, sql } from '@millrace/chassis/database/db';
import { event, type OutgoingEvent } from '@millrace/chassis/events/outbox';
import type { Running } from '@millrace/chassis/service';
import { createLog } from '@millrace/chassis/telemetry/log';
import { BackInStockSchema, StockLowSchema, StockShortfallSchema } from '@millrace/gen/millrace/inventory/v1/events_pb.js';
import { NotificationChannel, NotificationKind, NotificationService, NotificationState } from '@millrace/gen/millrace/notification/v1/notification_pb.js';
import { OrderCancelledSchema, OrderConfirmedSchema, OrderFulfilledSchema, OrderPlacedSchema } from '@millrace/gen/millrace/order/v1/events_pb.js';
import { CancelCause } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { PaymentActionRequiredSchema, PaymentDisputedSchema, PaymentFailedSchema, PaymentRefundedSchema, PaymentSucceededSchema } from '@millrace/gen/millrace/payment/v1/events_pb.js';
import { jetstream } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase, startTestNats, type TestDatabase, type TestNats } from '../../../test/support/servers.ts';
import { testKeys, type TestKeys } from '../../../test/support/tokens.ts';
import { KEYS, type Providers, startProviders } from '../test/providers.ts';
import { startNotification } from './main.ts';

const ADMINS = ['ops@shop.example', 'boss@shop.example'];
const total = { currencyCode: 'EUR', minorUnits: 7897n };
let nats: TestNats;
let database: TestDatabase;
let db: Database;
let providers: Providers;
let keys: TestKeys;
let service: Running;
const stop = new AbortController();

beforeAll(async () => {
  const port = await freePort();
  [nats, database, keys, providers] = await Promise.all([startTestNats(), createDatabase('notification'), testKeys(), startProviders(`http://127.0.0.1:${port}`)]);
  db = openDatabase(database.url, createLog('test', 'silent'));
  service = await startNotification(
    {
      PORT: String(port),
      LOG_LEVEL: 'silent',
      DATABASE_URL: database.url,
      NATS_URL: nats.url('notification'),
      MILLRACE_JWKS: keys.jwks,
      MILLRACE_TOKEN: await keys.token('notification', 'service'),
      ...KEYS,
      POSTMARK_API_BASE: providers.url,
      TWILIO_API_BASE: providers.url,
      TWILIO_FROM: '+15005550006',
      TWILIO_WEBHOOK_URL: `http://127.0.0.1:${port}/webhooks/twilio`,
      MAIL_FROM: 'Mill Shop <shop@millrace.example>',
      ADMIN_EMAILS: ADMINS.join(', '),
    },
    stop.signal,
  );
});
beforeEach(() => providers.heal());
afterAll(async () => {
  await service.stop();
  await db.close();
  await Promise.all([providers.stop(), nats.stop(), database.drop()]);
});

describe('the life of an order', () => {
  test('is told by mail and text message, each with what a customer wants to know, and each is reported delivered', async () => {
    const order = newOrder();
    await say('order', order.placed(), order.confirmed(), order.fulfilled());
    await say('payment', order.paid());
    await settled(order.id, 'delivered');
    const mails = await providers.mails(order.id);
    expect(mails.map((mail) => mail.kind).sort()).toEqual(['order_confirmation', 'order_fulfilled', 'payment_confirmation']);
    expect(mails.every((mail) => mail.to === order.customer.email)).toBe(true);
    const confirmation = mails.find((mail) => mail.kind === 'order_confirmation');
    expect(confirmation?.html).toContain('Earl Grey');
    expect(confirmation?.text).toContain('€78.97');
    expect((await providers.texts(order.id)).map((text) => `${text.kind} ${text.to}`).sort()).toEqual([`order_fulfilled ${order.customer.phone}`, `payment_confirmation ${order.customer.phone}`]);
    expect((await said(order.id)).map((item) => item.type)).toEqual(Array.from({ length: 5 }, () => 'millrace.notification.v1.NotificationSent'));
  });

  test('is told in the same messages, each once, when its events come in another order and several times', async () => {
    const order = newOrder();
    const all = [order.paid(), order.cancelled(), order.failed(), order.failed(), order.refunded(), order.actionRequired(), order.placed(), order.fulfilled(), order.confirmed()];
    for (const one of all) await say(one.subject.startsWith('payments') ? 'payment' : 'order', one);
    for (const one of [...all].reverse()) await say(one.subject.startsWith('payments') ? 'payment' : 'order', { ...one, eventId: randomUUID() });
    await settled(order.id, 'delivered');
    expect((await providers.mails(order.id)).map((mail) => mail.kind).sort()).toEqual(
      ['order_cancelled', 'order_confirmation', 'order_fulfilled', 'payment_action_required', 'payment_confirmation', 'payment_failed', 'refund'],
    );
    expect((await providers.texts(order.id)).map((text) => text.kind).sort()).toEqual(['order_cancelled', 'order_fulfilled', 'payment_confirmation', 'payment_failed']);
  });

  test('is told without text messages when there is no phone number, whatever comes first', async () => {
    const order = newOrder({ phone: '' });
    await say('payment', order.paid());
    await service.drain();
    await say('order', order.placed());
    await settled(order.id, 'delivered');
    expect(await list(order.id)).toEqual(['order_confirmation email delivered', 'payment_confirmation email delivered']);
  });

  test('is told nothing of a refund that the provider refused', async () => {
    const order = newOrder();
    await say('order', order.placed());
    await say('payment', order.paid(), order.refundRefused());
    await settled(order.id, 'delivered');
    expect((await providers.mails(order.id)).map((mail) => mail.kind).sort()).toEqual(['order_confirmation', 'payment_confirmation']);
  });

  test('is told in German, with German money, to who prefers that', async () => {
    const order = newOrder();
    const buyer = client(order.customer.customerId, 'buyer');
    await (await buyer).setPreferences({ preferences: { customerId: order.customer.customerId, emailEnabled: true, smsEnabled: false, locale: 'de-AT' } });
    await say('order', order.placed());
    await say('payment', order.paid());
    await settled(order.id, 'delivered');
    expect((await providers.mails(order.id)).map((mail) => mail.subject).sort()).toEqual([`Ihre Bestellung ${order.id} ist eingegangen`, `Zahlung für Ihre Bestellung ${order.id} erhalten`]);
    expect(await list(order.id)).toEqual(['order_confirmation email delivered', 'payment_confirmation email delivered', 'payment_confirmation sms suppressed']);
  });
});

describe('admins', () => {
  test('hear of low stock once per alert, each of them, and of nothing when it recovers', async () => {
    const sku = `SKU-${randomUUID()}`;
    const low = () => event(StockLowSchema, { sku, version: 4, available: 3, lowStockThreshold: 5, name: 'Blue mug' });
    await say('inventory', low(), low(), event(BackInStockSchema, { sku, version: 5, available: 30, lowStockThreshold: 5, name: 'Blue mug' }), event(StockLowSchema, { sku, version: 9, available: 1, lowStockThreshold: 5, name: 'Blue mug' }));
    await service.drain();
    const mails = (await providers.mails()).filter((mail) => mail.subject.includes(sku));
    expect(mails.map((mail) => mail.to).sort()).toEqual([...ADMINS, ...ADMINS].sort());
    expect(new Set(mails.map((mail) => mail.subject))).toEqual(new Set([`Low stock: ${sku}, 3 left`, `Low stock: ${sku}, 1 left`]));
  });

  test('hear of disputes and shortfalls, also when the customer wants no mails', async () => {
    const order = newOrder();
    await (await client(order.customer.customerId, 'buyer')).setPreferences({ preferences: { customerId: order.customer.customerId, emailEnabled: false, smsEnabled: false } });
    await say('order', order.placed());
    await say('payment', event(PaymentDisputedSchema, { orderId: order.id, version: 5, payment: { amount: total }, providerDisputeId: 'dp_1', reason: 'fraudulent' }));
    await say('payment', event(PaymentDisputedSchema, { orderId: order.id, version: 6, payment: { amount: total }, providerDisputeId: 'dp_1', closed: true }));
    await say('inventory', event(StockShortfallSchema, { orderId: order.id, version: 3 }));
    await service.drain();
    const mails = await providers.mails(order.id);
    expect(mails.map((mail) => mail.to).sort()).toEqual([...ADMINS, ...ADMINS].sort());
    expect(mails.filter((mail) => mail.subject.startsWith('Disputed')).length).toBe(2);
    expect(await list(order.id)).toContain('order_confirmation email suppressed');
  });
});

describe('reports of the providers', () => {
  test('that crossed, came twice or came before our own call was answered end in the same state', async () => {
    await providers.webhooks({ mode: 'duplicate', copies: 4 });
    const order = newOrder();
    // The call is answered long after the mail is delivered.
    await providers.fail({ provider: 'postmark', operation: 'email.batch', effect: 'lost_reply', times: 1 });
    await say('order', order.placed());
    await settled(order.id, 'delivered');
    expect((await said(order.id)).map((item) => [item.type, item.version])).toEqual([['millrace.notification.v1.NotificationSent', '2']]);
    expect(await providers.mails(order.id)).toHaveLength(1);
  });

  test('of a returned mail are said as an event, without the address', async () => {
    const order = newOrder({ email: `hardbounce-${randomUUID()}@mail.example` });
    await say('order', order.placed());
    await settled(order.id, 'bounced');
    const events = await said(order.id);
    expect(events.map((item) => item.type)).toEqual(['millrace.notification.v1.NotificationSent', 'millrace.notification.v1.NotificationBounced']);
    expect(events[1]?.body).toMatchObject({ bounceType: 'HardBounce', kind: 'NOTIFICATION_KIND_ORDER_CONFIRMATION', version: 3 });
    expect(JSON.stringify(events)).not.toContain('@');
  });

  test('of a text message that did not arrive', async () => {
    const order = newOrder({ phone: '+15005550404' });
    await say('order', order.placed(), order.cancelled());
    await eventually(async () => expect(await list(order.id)).toContain('order_cancelled sms bounced'));
  });

  test('that are forged change nothing', async () => {
    const order = newOrder();
    await say('order', order.placed());
    await settled(order.id, 'delivered');
    const [{ notification_id } = { notification_id: '' }] = await db.query<{ notification_id: string }>(sql`SELECT notification_id FROM notification WHERE order_id = ${order.id}`);
    const bounce = { method: 'POST', body: JSON.stringify({ RecordType: 'Bounce', Type: 'HardBounce', MessageID: 'x', Metadata: { notification_id } }) };
    const basic = (password: string) => ({ authorization: `Basic ${Buffer.from(`postmark:${password}`).toString('base64')}` });
    for (const tried of [{}, basic('wrong'), basic(''), { authorization: 'Bearer x' }]) {
      expect((await fetch(`${service.url}/webhooks/postmark`, { ...bounce, headers: tried as Record<string, string> })).status).toBe(401);
    }
    const form = { method: 'POST', body: new URLSearchParams({ MessageSid: 'SM1', MessageStatus: 'failed' }) };
    for (const signature of ['', 'AAAA', 'x'.repeat(40)]) {
      expect((await fetch(`${service.url}/webhooks/twilio?notification_id=${notification_id}`, { ...form, headers: { 'x-twilio-signature': signature } })).status).toBe(403);
    }
    expect(await list(order.id)).toEqual(['order_confirmation email delivered']);
  });

  test('that can’t be read are refused, and those about other things are well received', async () => {
    const headersOk = { authorization: `Basic ${Buffer.from(`postmark:${KEYS.POSTMARK_WEBHOOK_SECRET}`).toString('base64')}` };
    const post = async (body: string) => (await fetch(`${service.url}/webhooks/postmark`, { method: 'POST', headers: headersOk, body })).status;
    expect([await post('{'), await post('[]'), await post('{"RecordType":1}')]).toEqual([400, 400, 400]);
    expect([await post('{"RecordType":"Open","MessageID":"x"}'), await post('{"RecordType":"Delivery","MessageID":"x","Metadata":{"notification_id":"ntf_none"}}')]).toEqual([200, 200]);
    expect((await fetch(`${service.url}/webhooks/postmark`)).status).toBe(405);
  });
});

describe('the RPCs', () => {
  test('list what was said, newest first, in pages that a change of filters can’t carry over', async () => {
    const order = newOrder();
    await say('order', order.placed(), order.fulfilled(), order.cancelled());
    await settled(order.id, 'delivered');
    const admin = await client('root', 'admin');
    const first = await admin.listNotifications({ orderId: order.id, pageSize: 2 });
    expect(first.notifications).toHaveLength(2);
    const rest = await admin.listNotifications({ orderId: order.id, pageSize: 10, pageToken: first.nextPageToken });
    expect(rest.nextPageToken).toBe('');
    const all = [...first.notifications, ...rest.notifications];
    expect(new Set(all.map((item) => item.notificationId)).size).toBe(5);
    expect(all.every((item) => item.recipient !== '' && item.attempts === 1 && item.providerMessageId !== '' && item.sendTime !== undefined)).toBe(true);
    expect(all.every((item) => (item.subject !== '') === (item.channel === NotificationChannel.EMAIL))).toBe(true);
    expect((await admin.listNotifications({ recipient: order.customer.phone, orderId: order.id, states: [NotificationState.DELIVERED] })).notifications.map((item) => item.channel)).toEqual([NotificationChannel.SMS, NotificationChannel.SMS]);
    expect((await admin.listNotifications({ orderId: order.id, states: [NotificationState.FAILED] })).notifications).toEqual([]);
    expect(await reasonOf(admin.listNotifications({ orderId: 'other', pageToken: first.nextPageToken }))).toBe('INVALID_PAGE_TOKEN');
    expect((await admin.getNotification({ notificationId: all[0]?.notificationId ?? '' })).notification).toEqual(all[0]);
    expect(await reasonOf(admin.getNotification({ notificationId: 'ntf_none' }))).toBe('NOT_FOUND');
  });

  test('send a message again, on purpose and once per request id', async () => {
    const order = newOrder();
    await say('order', order.placed());
    await settled(order.id, 'delivered');
    const admin = await client('root', 'admin');
    const notificationId = (await admin.listNotifications({ orderId: order.id })).notifications[0]?.notificationId ?? '';
    const copies = await Promise.all([1, 2, 3].map(() => admin.resendNotification({ notificationId, requestId: 'again' })));
    expect(new Set(copies.map((copy) => copy.notification?.notificationId)).size).toBe(1);
    expect(copies[0]?.notification).toMatchObject({ kind: NotificationKind.ORDER_CONFIRMATION, state: NotificationState.PENDING });
    expect(copies[0]?.notification?.notificationId).not.toBe(notificationId);
    await settled(order.id, 'delivered');
    expect(await providers.mails(order.id)).toHaveLength(2);
    expect(await reasonOf(admin.resendNotification({ notificationId: 'ntf_none', requestId: 'again' }))).toBe('REQUEST_ID_REUSED');
    expect(await reasonOf(admin.resendNotification({ notificationId: 'ntf_none', requestId: 'other' }))).toBe('NOT_FOUND');
  });

  test('don’t resend what is still to be sent', async () => {
    const order = newOrder();
    await say('payment', order.failed());
    await service.drain();
    const admin = await client('root', 'admin');
    const waiting = (await admin.listNotifications({ orderId: order.id })).notifications[0];
    expect(waiting).toMatchObject({ state: NotificationState.PENDING, recipient: '', attempts: 0 });
    expect(await reasonOf(admin.resendNotification({ notificationId: waiting?.notificationId ?? '', requestId: 'r' }))).toBe('ILLEGAL_TRANSITION');
  });

  test('let buyers see and set only their own preferences', async () => {
    const id = `cus_${randomUUID()}`;
    const buyer = await client(id, 'buyer');
    expect((await buyer.getPreferences({ customerId: id })).preferences).toMatchObject({ customerId: id, emailEnabled: true, smsEnabled: true, locale: 'en' });
    const wanted = { customerId: id, emailEnabled: false, smsEnabled: true, locale: 'de' };
    expect((await buyer.setPreferences({ preferences: wanted, requestId: 'p1' })).preferences).toMatchObject(wanted);
    expect((await buyer.getPreferences({ customerId: id })).preferences).toMatchObject(wanted);
    expect(await reasonOf(buyer.setPreferences({ preferences: { ...wanted, locale: 'en' }, requestId: 'p1' }))).toBe('REQUEST_ID_REUSED');
    expect(await reasonOf(buyer.getPreferences({ customerId: 'cus_other' }))).toBe('NOT_FOUND');
    expect(await reasonOf(buyer.setPreferences({ preferences: { ...wanted, customerId: 'cus_other' } }))).toBe('NOT_FOUND');
    expect(await reasonOf(buyer.setPreferences({ preferences: { ...wanted, locale: 'klingon' } }))).toBe('INVALID_FIELD');
    expect(await reasonOf(buyer.listNotifications({}))).toBe('PERMISSION_DENIED');
    expect((await (await client('shop', 'service')).getPreferences({ customerId: id })).preferences).toMatchObject(wanted);
  });

  test('preview every template, and name them when one is unknown', async () => {
    const admin = await client('root', 'admin');
    const preview = await admin.previewTemplate({ template: 'payment_confirmation', locale: 'de' });
    expect(preview.subject).toBe('Zahlung für Ihre Bestellung ord_sample erhalten');
    expect(preview.html).toContain('Mill Shop');
    expect(preview.sms).toContain('78,97');
    const error = await admin.previewTemplate({ template: 'nope' }).catch((caught: unknown) => caught);
    expect(errorInfo(error)?.reason).toBe('INVALID_FIELD');
    expect(String(error)).toContain('order_confirmation, payment_confirmation, payment_failed');
  });
});

test('a hundred orders at once are told completely and once', async () => {
  const orders = Array.from({ length: 100 }, () => newOrder());
  await say('payment', ...orders.map((order) => order.paid()));
  await say('order', ...orders.map((order) => order.placed()));
  const ids = orders.map((order) => order.id);
  await eventually(async () => {
    const [row] = await db.query<{ count: bigint }>(sql`SELECT count(*) FROM notification WHERE order_id = ANY(${ids}::text[]) AND state = 'delivered'`);
    expect(row?.count).toBe(300n);
  });
  const taken = [...(await providers.mails()), ...(await providers.texts())].filter((message) => ids.includes(message.order_id));
  expect(new Set(taken.map((message) => `${message.order_id} ${message.kind} ${'body' in message}`)).size).toBe(300);
  expect(taken).toHaveLength(300);
});

function newOrder({ email = 'ada@mail.example', phone = '+491701234567' } = {}) {
  const id = `ord_${randomUUID()}`;
  const orderId = id;
  const customer = { customerId: `cus_${randomUUID()}`, name: 'Ada Lovelace', email, phone };
  const lines = [{ sku: 'TEA', name: 'Earl Grey, 250 g', quantity: 3, unitPrice: { currencyCode: 'EUR', minorUnits: 2632n }, lineTotal: { currencyCode: 'EUR', minorUnits: 7896n } }];
  const payment = { amount: total, captured: total };
  return {
    id,
    customer,
    placed: () => event(OrderPlacedSchema, { orderId, version: 1, customer, lines, total, paymentMethod: 'pm_card_visa' }),
    confirmed: () => event(OrderConfirmedSchema, { orderId, version: 2, customer, total }),
    cancelled: () => event(OrderCancelledSchema, { orderId, version: 3, customer, total, cause: CancelCause.EXPIRED, reason: 'not paid in time' }),
    fulfilled: () => event(OrderFulfilledSchema, { orderId, version: 3, customer, carrier: 'DHL', trackingNumber: '0034' }),
    paid: () => event(PaymentSucceededSchema, { orderId, version: 2, payment }),
    failed: () => event(PaymentFailedSchema, { orderId, version: 2, payment: { ...payment, failureMessage: 'Your card was declined.' } }),
    refunded: () => event(PaymentRefundedSchema, { orderId, version: 3, payment, refundId: 're_1', refundAmount: total }),
    refundRefused: () => event(PaymentRefundedSchema, { orderId, version: 4, payment, refundId: 're_2', refundAmount: { currencyCode: 'EUR', minorUnits: 0n } }),
    actionRequired: () => event(PaymentActionRequiredSchema, { orderId, version: 2, payment, actionUrl: 'https://bank.example/3ds' }),
  };
}

/** Publishes as the relay of that service would. */
async function say(user: string, ...events: OutgoingEvent[]): Promise<void> {
  const connection = await nats.connect(user);
  const js = jetstream(connection);
  await Promise.all(
    events.map((one) => {
      const h = headers();
      for (const [key, value] of Object.entries({ 'Nats-Msg-Id': one.eventId, 'ce-id': one.eventId, 'ce-type': one.type, 'ce-time': new Date().toISOString(), 'millrace-version': String(one.aggregateVersion) })) h.set(key, value);
      return js.publish(one.subject, one.body, { headers: h });
    }),
  );
  await connection.close();
}

async function said(orderId: string): Promise<{ type: string; version: string; body: object }[]> {
  const rows = await db.query<{ type: string; aggregate_version: number; body: string }>(sql`
    SELECT o.type, o.aggregate_version, o.body FROM outbox o JOIN notification n ON n.notification_id = o.aggregate_id WHERE n.order_id = ${orderId} ORDER BY o.position`);
  return rows.map((row) => ({ type: row.type, version: String(row.aggregate_version), body: JSON.parse(row.body) as object }));
}

async function client(subject: string, role: 'admin' | 'buyer' | 'service'): Promise<Client<typeof NotificationService>> {
  return createServiceClient(NotificationService, { url: service.url, token: await keys.token(subject, role) });
}

async function list(orderId: string): Promise<string[]> {
  const rows = await db.query<{ kind: string; channel: string; state: string }>(sql`SELECT kind, channel, state FROM notification WHERE order_id = ${orderId} ORDER BY kind, channel, notification_id`);
  return rows.map((row) => `${row.kind} ${row.channel} ${row.state}`);
}

async function settled(orderId: string, state: string): Promise<void> {
  await service.drain();
  await eventually(async () => {
    const open = (await list(orderId)).filter((line) => !line.endsWith(state) && !line.endsWith('suppressed'));
    expect(open).toEqual([]);
  });
}

async function eventually(check: () => Promise<void>): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function reasonOf(call: Promise<unknown>): Promise<string | undefined> {
  return call.then(
    () => 'no error',
    (error: unknown) => errorInfo(error)?.reason,
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
