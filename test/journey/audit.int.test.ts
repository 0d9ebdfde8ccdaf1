// The auditor against the whole system: silent when all is well, and each sabotage is reported by its invariant.
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ReservationState } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { OrderState, PaymentState } from '@millrace/gen/millrace/order/v1/order_pb.js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Report, type Sources, audit } from '../../cli/src/audit/audit.ts';
import { SERVICES, type Service } from '../../cli/src/audit/report.ts';
import { runCli } from '../../cli/src/main.ts';
import { type Clients, type System, startSystem, until } from '../support/system.ts';

const SETTLED = { graceMs: 0 };
const SKU = 'AUDIT-MUG';

let system: System;
let admin: Clients;
let buyer: Clients;
let sources: Sources;
let journal: string;
const tries: { request_id: string; sent_at: string; outcome: string; order_id?: string }[] = [];
/** One order in each end that an order can have. */
const ids: Record<'paid' | 'shipped' | 'cancelled' | 'refunded' | 'declined' | 'unpaid', string> = { paid: '', shipped: '', cancelled: '', refunded: '', declined: '', unpaid: '' };

beforeAll(async () => {
  system = await startSystem();
  [admin, buyer] = [system.as('admin'), system.as('buyer')];
  await admin.products.createProduct({ product: { sku: SKU, name: 'A mug', price: { currencyCode: 'EUR', minorUnits: 1_250n } }, initialStock: 50, lowStockThreshold: 49 });
  await until(async () => (await admin.inventory.batchGetStock({ skus: [SKU] })).stockLevels.length === 1);
  [ids.paid, ids.shipped, ids.cancelled, ids.refunded, ids.declined, ids.unpaid] = await Promise.all([
    place(2), place(1, 'pm_card_visa', '+491701234567'), place(3), place(4), place(1, 'pm_card_chargeDeclined'), place(2, ''),
  ]);
  const paid = [ids.paid, ids.shipped, ids.cancelled, ids.refunded];
  await Promise.all(paid.map((orderId) => until(async () => (await admin.inventory.getReservation({ orderId })).reservation?.state === ReservationState.COMMITTED)));
  await Promise.all(paid.map((orderId) => inState(orderId, OrderState.CONFIRMED)));
  await until(() => admin.orders.fulfillOrder({ orderId: ids.shipped, carrier: 'DHL', trackingNumber: '1' }).catch(() => undefined));
  await buyer.orders.cancelOrder({ orderId: ids.cancelled, requestId: randomUUID() });
  await admin.orders.refundOrder({ orderId: ids.refunded, lines: [{ sku: SKU, quantity: 1 }], restock: true, reason: 'broken', requestId: randomUUID() });
  await buyer.orders.cancelOrder({ orderId: ids.unpaid, requestId: randomUUID() });
  const { postgres, nats, sandbox } = system.runtime;
  journal = path.join(system.home, 'journal.jsonl');
  // Sent, and never heard of again: none of these became an order.
  tries.push({ request_id: 'never-arrived', sent_at: new Date().toISOString(), outcome: 'unknown' });
  writeFileSync(journal, tries.map((entry) => JSON.stringify(entry)).join('\n'));
  sources = { postgres, nats, sandbox, journal };
  await until(async () => (await letterAndEventCount()) === 0 && (await settled()), 40_000);
}, 180_000);
afterAll(async () => system[Symbol.asyncDispose](), 30_000);

async function place(quantity: number, paymentMethod = 'pm_card_visa', phone = ''): Promise<string> {
  const requestId = randomUUID();
  const { order } = await buyer.orders.placeOrder({ requestId, customer: { name: 'Ada', email: `${requestId.slice(0, 8)}@example.com`, phone }, lines: [{ sku: SKU, quantity }], paymentMethod });
  tries.push({ request_id: requestId, sent_at: new Date().toISOString(), outcome: 'ok', order_id: order?.orderId ?? '' });
  return order?.orderId ?? '';
}

const inState = (orderId: string, state: OrderState) => until(async () => (await buyer.orders.getOrder({ orderId })).order?.state === state);

/** All six are where they end, and everybody was told. */
async function settled(): Promise<boolean> {
  const orders = await Promise.all(Object.values(ids).map(async (orderId) => (await buyer.orders.getOrder({ orderId })).order));
  const ends = [PaymentState.PAID, PaymentState.PAID, PaymentState.REFUNDED, PaymentState.PARTIALLY_REFUNDED, PaymentState.FAILED, PaymentState.UNPAID];
  if (!orders.every((order, i) => order?.paymentState === ends[i])) return false;
  return (await within('notification', `SELECT 1 FROM notification WHERE state IN ('pending', 'sent')`)).length === 0;
}

/** What is still to be published. */
async function letterAndEventCount(): Promise<number> {
  return (await Promise.all(SERVICES.map((name) => within(name, 'SELECT 1 FROM outbox_unpublished')))).flat().length;
}

/** As the administrator: no service may do to its tables what is done here. */
async function within(name: Service, ...statements: string[]): Promise<Record<string, unknown>[]> {
  const url = new URL(system.runtime.postgres[name]);
  url.username = 'millrace_admin';
  url.password = (JSON.parse(readFileSync(path.join(system.home, 'secrets.json'), 'utf8')) as Record<string, string>)['postgres-admin'] ?? '';
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of statements) rows = (await client.query<Record<string, unknown>>(statement)).rows;
    return rows;
  } finally {
    await client.end();
  }
}

const violationsOf = (report: Report) => report.rows.filter((row) => row.violations > 0).map((row) => row.invariant);
const rowOf = (report: Report, invariant: string) => report.rows.find((row) => row.invariant === invariant);

describe('a system at rest', () => {
  test('has no violation, and every invariant was computed of something', async () => {
    const report = await until(async () => {
      const found = await audit(sources, SETTLED);
      return found.violations === 0 ? found : undefined;
    }, 30_000, async () => JSON.stringify((await audit(sources, SETTLED)).rows.filter((row) => row.violations > 0), undefined, 1));
    expect(report.away).toEqual([]);
    // Nothing was ever buried here: of that there is none to check.
    expect(report.rows.filter((row) => row.checked === 0).map((row) => row.invariant)).toEqual(['I14']);
    expect(report.rows.flatMap((row) => row.without)).toEqual([]);
  });

  test('is exit code 0 of the command, with a table', async () => {
    const said = { out: '', error: '' };
    const terminal = { env: { MILLRACE_HOME: system.home }, stdin: process.stdin, stdout: (text: string) => void (said.out += text), stderr: (text: string) => void (said.error += text), signal: new AbortController().signal };
    expect(await runCli(['audit', '--grace', '0s', '--journal', journal], terminal)).toBe(0);
    expect(said).toEqual({ out: expect.stringMatching(/INVARIANT +CHECKED +VIOLATIONS[^]+I14[^]+No violation found/) as string, error: '' });
    said.out = '';
    expect(await runCli(['audit', '--json', '--since', '1h'], terminal)).toBe(0);
    expect(JSON.parse(said.out)).toMatchObject({ violations: 0, away: [] });
    expect(await runCli(['audit', '--grace', 'soon'], terminal)).toBe(2);
  });
});

describe('a source that is away', () => {
  test.each(SERVICES)('%s is named, and the rest is checked without it', async (name) => {
    const report = await audit({ ...sources, postgres: { ...sources.postgres, [name]: 'postgresql://nobody:x@127.0.0.1:9/none' } }, SETTLED);
    expect(report.away).toMatchObject([{ source: name }]);
    expect(report.violations).toBe(0);
    expect(report.rows.some((row) => row.without.includes(name))).toBe(true);
    expect(report.rows.filter((row) => row.checked > 0).length).toBeGreaterThan(3);
  });

  test('provider, streams and journal are named', async () => {
    const report = await audit({ ...sources, sandbox: 'http://127.0.0.1:9', nats: 'nats://a:b@127.0.0.1:9', journal: '/nowhere' }, SETTLED);
    expect(report.away.map(({ source }) => source).toSorted()).toEqual(['journal', 'mails', 'provider', 'streams', 'texts']);
    expect(report.violations).toBe(0);
  });

  test('is exit code 3 of the command', async () => {
    const runtime = path.join(system.home, 'elsewhere.json');
    writeFileSync(runtime, JSON.stringify({ ...system.runtime, sandbox: 'http://127.0.0.1:9' }));
    let out = '';
    const terminal = { env: {}, stdin: process.stdin, stdout: (text: string) => void (out += text), stderr: () => {}, signal: new AbortController().signal };
    expect(await runCli(['audit', '--grace', '0s', '--runtime', runtime], terminal)).toBe(3);
    expect(out).toContain('Could not be read: provider (');
  });
});

// Each breaks one thing behind the services' backs, sees it reported, and mends it.
describe('sabotage', () => {
  const cases: [string, Service, string[], string[], string[]][] = [
    ['goods from nowhere', 'inventory', [`UPDATE stock SET on_hand = on_hand + 5 WHERE sku = '${SKU}'`], [`UPDATE stock SET on_hand = on_hand - 5 WHERE sku = '${SKU}'`], ['I2']],
    ['a hold that nobody ends', 'inventory',
      [`UPDATE reservation SET state = 'HELD', hold_until = now() + interval '1 hour' WHERE order_id = '{paid}'`], [`UPDATE reservation SET state = 'COMMITTED' WHERE order_id = '{paid}'`], ['I1', 'I2', 'I13']],
    ['money that nobody charged', 'payment', [`UPDATE payment SET amount = 9999, captured = 9999 WHERE order_id = '{paid}'`], [`UPDATE payment SET amount = 2500, captured = 2500 WHERE order_id = '{paid}'`], ['I4']],
    ['a payment that is gone', 'payment', [`UPDATE payment SET order_id = 'ord_nobody' WHERE order_id = '{declined}'`], [`UPDATE payment SET order_id = '{declined}' WHERE order_id = 'ord_nobody'`], ['I4', 'I12']],
    ['an order shipped without a step', 'order', [`UPDATE orders SET state = 'FULFILLED' WHERE order_id = '{paid}'`], [`UPDATE orders SET state = 'CONFIRMED' WHERE order_id = '{paid}'`], ['I9', 'I13']],
    ['a paid order set back', 'order', [`UPDATE orders SET state = 'PENDING_PAYMENT' WHERE order_id = '{paid}'`], [`UPDATE orders SET state = 'CONFIRMED' WHERE order_id = '{paid}'`], ['I8', 'I13']],
    ['an order with a total of its own', 'order', [`UPDATE orders SET total = 1 WHERE order_id = '{paid}'`], [`UPDATE orders SET total = 2500 WHERE order_id = '{paid}'`], ['I3', 'I4']],
    ['a lost order', 'order', [`UPDATE orders SET order_id = 'ord_other', request_id = 'other' WHERE order_id = '{declined}'`],
      [`UPDATE orders SET order_id = '{declined}', request_id = '{declined:request}' WHERE order_id = 'ord_other'`], ['I1', 'I4', 'I5', 'I9', 'I12', 'I13']],
    ['two orders for one request', 'order',
      ['DROP INDEX orders_placed_by_request_id_key', `UPDATE orders SET request_id = '{paid:request}' WHERE order_id = '{shipped}'`],
      [`UPDATE orders SET request_id = '{shipped:request}' WHERE order_id = '{shipped}'`, 'CREATE UNIQUE INDEX orders_placed_by_request_id_key ON orders (placed_by, request_id)'], ['I5', 'I6']],
    ['an order past its time', 'order', [`UPDATE orders SET state = 'CONFIRMED', payment_state = 'REFUND_PENDING', next_due_time = now() - interval '2 hours' WHERE order_id = '{paid}'`],
      [`UPDATE orders SET payment_state = 'PAID', next_due_time = now() + interval '72 hours' WHERE order_id = '{paid}'`], ['I7']],
    ['a message without its mail', 'notification',
      [`INSERT INTO notification (notification_id, idempotency_key, order_id, kind, channel, recipient, details, state, send_time) VALUES ('ntf_x', 'x', '{paid}', 'refund', 'email', 'a@example.com', '{}', 'sent', now())`],
      [`DELETE FROM notification WHERE notification_id = 'ntf_x'`], ['I9']],
    ['a forgotten event', 'notification', ['CREATE TABLE kept AS SELECT * FROM inbox LIMIT 1', 'DELETE FROM inbox WHERE event_id IN (SELECT event_id FROM kept)'],
      ['INSERT INTO inbox SELECT * FROM kept', 'DROP TABLE kept'], ['I11']],
    ['an event taken back', 'payment', [`CREATE TABLE kept AS SELECT * FROM outbox WHERE aggregate_id = '{shipped}' AND type LIKE '%PaymentSucceeded'`, 'DELETE FROM outbox WHERE event_id IN (SELECT event_id FROM kept)'],
      ['INSERT INTO outbox SELECT * FROM kept', 'DROP TABLE kept'], ['I10', 'I12', 'I13']],
    ['a version told twice', 'order', [`UPDATE outbox SET aggregate_version = 1 WHERE aggregate_id = '{shipped}' AND type LIKE '%OrderFulfilled'`],
      [`UPDATE outbox SET aggregate_version = (SELECT version FROM orders WHERE order_id = '{shipped}') WHERE aggregate_id = '{shipped}' AND type LIKE '%OrderFulfilled'`], ['I12']],
    ['a letter that was replayed by nobody', 'order',
      [`INSERT INTO dead_letter (dead_letter_id, stream, subject, stream_sequence, event_id, event_type, deliveries, cause, stack, headers, body, state)
        VALUES (gen_random_uuid(), 'PAYMENTS', 'payments.succeeded.x', 999999, gen_random_uuid(), 't', 8, 'c', 's', '{"ce-id": "1"}', 'b', 2)`],
      [`DELETE FROM dead_letter`], ['I14']],
  ];

  test.each(cases)('%s is found', async (_title, name, breaking, mending, invariants) => {
    const filled = (statement: string) =>
      statement.replace(/\{(\w+)(:request)?\}/g, (_all, key: keyof typeof ids, request?: string) => (request ? (tries.find((entry) => entry.order_id === ids[key])?.request_id ?? '') : ids[key]));
    await within(name, ...breaking.map(filled));
    const report = await audit(sources, SETTLED).finally(() => within(name, ...mending.map(filled)));
    expect(violationsOf(report)).toEqual(invariants);
    for (const invariant of invariants) expect(rowOf(report, invariant)?.first[0]?.problem).toMatch(/\w/);
    // Whoever is named is named as the tables have it, not by the hash under which it was found.
    for (const { what, problem } of report.rows.flatMap(({ first }) => first)) expect(`${what}: ${problem}`).not.toMatch(/#[0-9a-f]{16}|\?[0-9A-F]{8}|^a message|…$/);
  });

  test('mended, nothing is left to find', async () => {
    expect(violationsOf(await audit(sources, SETTLED))).toEqual([]);
  });
});
