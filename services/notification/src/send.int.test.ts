// Sending, driven by hand on a real database and the sandbox: what happens when calls fail, replies are lost and senders die.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type Database, openDatabase, sql } from '@millrace/chassis/database/db';
import { createLog } from '@millrace/chassis/telemetry/log';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../../test/support/servers.ts';
import { KEYS, type Providers, startProviders } from '../test/providers.ts';
import { messagesFor, type News } from './notification.ts';
import { createPostmark } from './postmark.ts';
import { resolveMails, resolveTexts } from './resolve-unknown.ts';
import { sendMails } from './send-mails.ts';
import { sendTexts } from './send-texts.ts';
import { createStore, type Store } from './store.ts';
import { createRenderer } from './templates/render.ts';
import { createTwilio } from './twilio.ts';

const log = createLog('test', 'silent');
const renderer = createRenderer('Shop');
let providers: Providers;
let database: TestDatabase;
let db: Database;
let store: Store;
let loops: ReturnType<typeof createLoops>;

beforeAll(async () => {
  providers = await startProviders();
  database = await createDatabase('notification');
  db = openDatabase(database.url, log);
  store = createStore(db);
  loops = createLoops();
});
beforeEach(() => providers.heal());
afterAll(async () => {
  await db.close();
  await database.drop();
  await providers.stop();
});

test('a mail whose reply was lost is found at the provider and not sent again', async () => {
  const order = await queue('order_confirmation');
  await providers.fail({ provider: 'postmark', operation: 'email.batch', effect: 'lost_reply', times: 1 });
  await loops.mails.tick();
  expect(await standing(order)).toEqual(['email pending sending']);
  await hurry();
  await settle();
  expect(await standing(order)).toEqual(['email sent']);
  expect(await providers.mails(order)).toHaveLength(1);
});

test('a sender that died between the provider’s answer and the commit has mailed once', async () => {
  const order = await queue('order_confirmation');
  const [due] = await store.claimDue('email', 10);
  await loops.postmark.send([{ notificationId: due?.notificationId ?? '', orderId: order, kind: 'order_confirmation', to: 'ada@mail.example', subject: 's', html: 'h', text: 't' }]);
  // Here it dies: no report. While its lease lasts nobody touches the row.
  await settle();
  expect(await standing(order)).toEqual(['email pending sending']);
  await hurry();
  await settle();
  expect(await standing(order)).toEqual(['email sent']);
  expect(await providers.mails(order)).toHaveLength(1);
});

test('a sender that died before the call has mailed nothing, and its mail goes out once it is clear that the provider has none', async () => {
  const order = await queue('order_confirmation');
  await store.claimDue('email', 10);
  await fallDue(order);
  await settle();
  expect(await standing(order), 'a provider may list a message late').toEqual(['email pending sending']);
  await hurry();
  await settle();
  expect(await standing(order)).toEqual(['email pending']);
  await hurry();
  await settle();
  expect(await standing(order)).toEqual(['email sent']);
  expect(await providers.mails(order)).toHaveLength(1);
});

test('a delivery that is reported before our own call is answered loses nothing', async () => {
  const order = await queue('order_confirmation');
  await providers.fail({ provider: 'postmark', operation: 'email.batch', effect: 'delay', delay_ms: 200 });
  const sending = loops.mails.tick();
  const claimed = async () => db.query<{ notification_id: string }>(sql`SELECT notification_id FROM notification WHERE order_id = ${order} AND sending`);
  await expect.poll(claimed).toHaveLength(1);
  const [row] = await claimed();
  await store.report([{ notificationId: row?.notification_id ?? '', fact: { type: 'delivered', providerMessageId: 'm1' } }]);
  await sending;
  expect(await standing(order)).toEqual(['email delivered']);
  expect(await db.query(sql`SELECT subject, provider_message_id, version FROM notification WHERE order_id = ${order}`)).toEqual([{ subject: `We have your order ${order}`, provider_message_id: 'm1', version: 3 }]);
});

test('a text message whose reply was lost is found by number, words and time and not sent again, also in another language', async () => {
  const order = await queue('order_cancelled', { phone: '+491701234567' });
  await providers.fail({ provider: 'twilio', operation: 'messages.create', effect: 'lost_reply', times: 1 });
  await loops.texts.tick();
  await db.query(sql`INSERT INTO preferences (customer_id, email_enabled, sms_enabled, locale) VALUES (${order}, true, true, 'de')`);
  await hurry();
  await settle();
  expect(await standing(order)).toEqual(['email sent', 'sms sent']);
  expect(await providers.texts(order)).toHaveLength(1);
});

test('as long as the provider can’t be asked, a message with an unknown outcome is not sent again', async () => {
  const order = await queue('order_confirmation');
  await providers.fail({ provider: 'postmark', operation: 'email.batch', effect: 'lost_reply', times: 1 });
  await providers.fail({ provider: 'postmark', operation: 'messages.list', effect: 'error', status: 500, times: 3 });
  await loops.mails.tick();
  for (let i = 0; i < 3; i += 1) {
    await hurry();
    await settle();
    expect(await standing(order)).toEqual(['email pending sending']);
  }
  await hurry();
  await settle();
  expect(await standing(order)).toEqual(['email sent']);
  expect(await providers.mails(order)).toHaveLength(1);
});

test('when nobody can say for a day whether a message was sent, it fails instead of going out twice', async () => {
  const order = await queue('order_confirmation');
  await store.claimDue('email', 10);
  await fallDue(order);
  await db.query(sql`UPDATE notification SET sending_time = now() - interval '25 hours' WHERE order_id = ${order}`);
  await providers.fail({ provider: 'postmark', operation: 'messages.list', effect: 'error', status: 500 });
  await settle();
  expect(await standing(order)).toEqual(['email failed']);
  expect(await providers.mails(order)).toHaveLength(0);
});

test('errors and lost replies at half of all calls: each mail and text goes out exactly once', async () => {
  for (const provider of ['postmark', 'twilio'] as const) {
    await providers.fail({ provider, operation: '*', effect: 'lost_reply', probability: 0.3 });
    await providers.fail({ provider, operation: '*', effect: 'error', status: 500, probability: 0.15 });
    await providers.fail({ provider, operation: '*', effect: 'error', status: 503, probability: 0.15 });
  }
  const orders: string[] = [];
  for (let wave = 0; wave < 90 && (wave < 15 || (await unsettled()) > 0); wave += 1) {
    if (wave < 15) orders.push(...(await Promise.all(Array.from({ length: 4 }, () => queue('order_fulfilled', { phone: '+491701234567' })))));
    await hurry();
    await settle();
  }
  expect((await providers.strikes()).reduce((sum, hits) => sum + hits), 'without faults this is no test').toBeGreaterThan(20);
  for (const order of orders) expect(await standing(order)).toEqual(['email sent', 'sms sent']);
  const mine = (taken: { order_id: string }[]) => taken.filter((message) => orders.includes(message.order_id)).map((message) => message.order_id).sort();
  expect(mine(await providers.mails())).toEqual([...orders].sort());
  expect(mine(await providers.texts())).toEqual([...orders].sort());
});

test('a provider that is down only delays: nothing is sent twice, nothing is given up', async () => {
  const down = createLoops(await closedPort());
  const order = await queue('order_cancelled', { phone: '+491701234567' });
  await down.mails.tick();
  await down.texts.tick();
  expect(await standing(order), 'a connection that never stood is no doubt').toEqual(['email pending', 'sms pending']);
  await hurry();
  await settle();
  expect(await standing(order)).toEqual(['email sent', 'sms sent']);
});

test.each([
  ['an address on the provider’s suppression list', { email: 'gone@bounced.test' }, 'email suppressed'],
  ['an address that is none', { email: 'no address' }, 'email failed'],
  ['no address', { email: '' }, 'email suppressed'],
])('%s is not tried again', async (_title, customer, outcome) => {
  const order = await queue('order_confirmation', customer);
  await settle();
  expect(await standing(order)).toEqual([outcome]);
  const [row] = await db.query<{ attempts: number; last_error: string }>(sql`SELECT attempts, last_error FROM notification WHERE order_id = ${order}`);
  expect(row?.attempts).toBe(1);
  expect(row?.last_error).not.toBe('');
  expect(row?.last_error).not.toContain('@');
});

test.each([
  ['a number that is none', '+15005550001', 'sms failed'],
  ['a recipient who answered STOP', '+15005550004', 'sms suppressed'],
])('%s is not tried again', async (_title, phone, outcome) => {
  const order = await queue('order_cancelled', { phone });
  await settle();
  expect(await standing(order)).toEqual(['email sent', outcome]);
});

test('a bad address in a batch does not hinder the other mails', async () => {
  const bad = await queue('order_confirmation', { email: 'no address' });
  const good = await Promise.all(Array.from({ length: 10 }, () => queue('order_confirmation')));
  await settle();
  expect(await standing(bad)).toEqual(['email failed']);
  for (const order of good) expect(await standing(order)).toEqual(['email sent']);
});

test('mails far larger than usual still go out together', async () => {
  const lines = Array.from({ length: 100 }, (_, i) => ({ sku: `SKU-${i}`, name: 'Große Vase aus Bürgel, blau-weiß, '.repeat(5), quantity: 1, unitPrice: '100', lineTotal: '100' }));
  const orders = await Promise.all(Array.from({ length: 30 }, () => queue('order_confirmation', { lines })));
  await settle();
  for (const order of orders) expect(await standing(order)).toEqual(['email sent']);
});

test('slow mail does not hold up text messages', async () => {
  await providers.fail({ provider: 'postmark', operation: 'email.batch', effect: 'delay', delay_ms: 1_500 });
  const order = await queue('order_cancelled', { phone: '+491701234567' });
  const mails = loops.mails.tick();
  await loops.texts.tick();
  expect(await standing(order)).toEqual(['email pending sending', 'sms sent']);
  await mails;
  expect(await standing(order)).toEqual(['email sent', 'sms sent']);
});

test('two senders never take the same message', async () => {
  const orders = await Promise.all(Array.from({ length: 200 }, () => queue('order_confirmation')));
  const other = createLoops();
  await Promise.all([loops.mails.drain(), other.mails.drain(), loops.mails.drain()]);
  const sent = (await providers.mails()).filter((mail) => orders.includes(mail.order_id)).map((mail) => mail.order_id);
  expect(sent.sort()).toEqual(orders.sort());
});

test('a message whose customer is not known yet waits, and goes out when it is', async () => {
  const order = `ord_${randomUUID()}`;
  await db.transaction((tx) => store.queue(tx, messagesFor({ kind: 'payment_confirmation', orderId: order, details: { amount: '100', currency: 'EUR' } }, [])));
  await settle();
  expect(await standing(order)).toEqual(['email pending', 'sms pending']);
  await db.transaction((tx) => store.meet(tx, [{ orderId: order, customerId: order, name: 'Ada', email: 'ada@mail.example', phone: '' }]));
  await settle();
  expect(await standing(order), 'a text message to nobody is dropped').toEqual(['email sent']);
});

async function queue(kind: News['kind'], { email = 'ada@mail.example', phone = '', lines }: { email?: string; phone?: string; lines?: { sku: string; name: string; quantity: number; unitPrice: string; lineTotal: string }[] } = {}): Promise<string> {
  const orderId = `ord_${randomUUID()}`;
  const order = { currency: 'EUR', total: '1000', lines: lines ?? [{ sku: 'A', name: 'A', quantity: 1, unitPrice: '1000', lineTotal: '1000' }] };
  await db.transaction(async (tx) => {
    await store.meet(tx, [{ orderId, customerId: orderId, name: 'Ada', email, phone, order }]);
    await store.queue(tx, messagesFor({ kind, orderId, details: { amount: '1000', currency: 'EUR' } }, []));
  });
  return orderId;
}

function createLoops(apiBase = providers.url) {
  const postmark = createPostmark({ token: KEYS.POSTMARK_SERVER_TOKEN, apiBase, from: 'Shop <shop@millrace.example>' });
  const twilio = createTwilio({ accountSid: KEYS.TWILIO_ACCOUNT_SID, authToken: KEYS.TWILIO_AUTH_TOKEN, from: '+15005550006', apiBase, callbackUrl: 'http://127.0.0.1:9/webhooks/twilio' });
  const report = (one: Parameters<Store['report']>[0][number]) => store.report([one]);
  return {
    postmark,
    mails: sendMails({ store, postmark, renderer, log }),
    texts: sendTexts({ store, twilio, renderer, report, log }),
    lookUps: [resolveMails({ store, postmark, renderer, report, log }), resolveTexts({ store, twilio, renderer, report, log })],
  };
}

async function closedPort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${port}`;
}

/** Looks up what is to be looked up, then sends what is to be sent. */
async function settle(): Promise<void> {
  for (const loop of [...loops.lookUps, loops.mails, loops.texts]) await loop.drain();
}

async function fallDue(orderId: string): Promise<void> {
  await db.query(sql`UPDATE send_queue SET due_time = now() WHERE notification_id IN (SELECT notification_id FROM notification WHERE order_id = ${orderId})`);
}

/** A minute and a half passes, and whoever pauses longer comes back too. */
async function hurry(): Promise<void> {
  await db.query(sql`UPDATE send_queue SET due_time = now()`);
  await db.query(sql`UPDATE notification SET sending_time = sending_time - interval '90 seconds', resend_time = resend_time - interval '90 seconds' WHERE state = 'pending'`);
}

async function unsettled(): Promise<number> {
  const [row] = await db.query<{ count: bigint }>(sql`SELECT count(*) FROM notification n JOIN contact USING (order_id) WHERE state = 'pending'`);
  return Number(row?.count);
}

async function standing(orderId: string): Promise<string[]> {
  const rows = await db.query<{ channel: string; state: string; sending: boolean }>(sql`SELECT channel, state, sending FROM notification WHERE order_id = ${orderId} ORDER BY channel`);
  return rows.map((row) => `${row.channel} ${row.state}${row.sending ? ' sending' : ''}`);
}
