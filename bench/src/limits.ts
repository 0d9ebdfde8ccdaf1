// What the machine can do at best, measured beside the system: one prepared statement per commit, and the broker's own batches.
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { AckPolicy, StorageType, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Client } from 'pg';
import { orderIdOf } from '../../services/order/src/order-id.ts';
import { natsLogin } from '../../local/src/nats.ts';
import { createHistogram, record } from './histogram.ts';
import type { Load } from './load.ts';

export type LimitTask = { url: string; clients: number; ms: number };
export type PublishTask = { nats: string; ms: number };

/** The same rows that a placed order leaves behind: the order, its place among those that wait, its first line of the timeline, its event. */
const INSERT = `
  WITH stored AS (
    INSERT INTO orders (order_id, placed_by, request_id, customer_id, customer_name, customer_email, customer_phone, lines, currency, total,
      payment_method, shipping_address, note, payment_due_time, next_due_time)
    VALUES ($1, 'demo-backend', $2, $3, 'Ada Example', $4, '', $5, 'EUR', $6, '', $7, 'limit-0', now() + interval '30 minutes', now() + interval '30 minutes')
    RETURNING order_id, create_time, next_due_time
  ), waiting AS (
    INSERT INTO order_due (unpaid, due_time, order_id) SELECT true, next_due_time, order_id FROM stored
  ), told AS (
    INSERT INTO timeline (order_id, time, source, kind, summary, event_id, actor, detail)
    SELECT order_id, create_time, 'order', 'orders.placed', 'Placed for 19.99 EUR; its stock is held', $8::text, 'demo-backend', $9 FROM stored
  )
  INSERT INTO outbox (event_id, subject, type, aggregate_id, aggregate_version, body)
  SELECT $8::uuid, 'orders.placed.' || order_id, 'millrace.order.v1.OrderPlaced', order_id, 1, $10 FROM stored`;
/** Refuses by itself what would oversell. */
const UPDATE = 'UPDATE stock SET reserved = reserved + 1, version = version + 1, update_time = now() WHERE sku = $1 AND on_hand - reserved >= 1';
const HOT_SKU = 'hot';
const HOT_STOCK = 1_000_000_000;
/** As many events as the relay publishes together. */
const EVENTS = 500;
const SCRATCH_STREAM = 'BENCH';

export async function runInserts(task: LimitTask): Promise<Load> {
  return onConnections(task, (client, n) => client.query({ name: 'limit', text: INSERT, values: orderRow(n) }));
}

export async function runUpdates(task: LimitTask): Promise<Load> {
  const sku = await openHotStock(task.url);
  return onConnections(task, (client) => client.query({ name: 'limit', text: UPDATE, values: [sku] }));
}

/** Answers the sku that everybody wants, of which there is more than anybody buys. */
export async function openHotStock(url: string): Promise<string> {
  const admin = new Client(url);
  await admin.connect();
  await admin.query('INSERT INTO stock (sku, on_hand, opened) VALUES ($1, $2, true) ON CONFLICT DO NOTHING', [HOT_SKU, HOT_STOCK]);
  await admin.end();
  return HOT_SKU;
}

/** Events a second into a stream like ours, in atomic batches. */
export async function runPublishes({ nats, ms }: PublishTask): Promise<Load> {
  const connection = await connect(natsLogin(nats));
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: SCRATCH_STREAM, subjects: ['bench.>'], storage: StorageType.File, allow_atomic: true });
  await manager.consumers.add(SCRATCH_STREAM, { durable_name: 'bench', ack_policy: AckPolicy.Explicit });
  const js = jetstream(connection);
  const body = String(orderRow(0)[9]);
  const load: Load = { done: 0, ms: 0, latencies: createHistogram(), refused: {} };
  const begun = performance.now();
  while (performance.now() - begun < ms) {
    const from = performance.now();
    const batch = await js.startBatch('bench.first', body);
    for (let i = 2; i < EVENTS; i += 1) batch.add('bench.more', body);
    await batch.commit('bench.last', body);
    record(load.latencies, performance.now() - from);
    load.done += EVENTS;
  }
  load.ms = performance.now() - begun;
  await manager.streams.delete(SCRATCH_STREAM);
  await connection.close();
  return load;
}

async function onConnections({ url, clients, ms }: LimitTask, statement: (client: Client, n: number) => Promise<unknown>): Promise<Load> {
  const connections = await Promise.all(Array.from({ length: clients }, async () => {
    const client = new Client(url);
    await client.connect();
    await statement(client, 0); // prepared before the time counts
    return client;
  }));
  const load: Load = { done: 0, ms: 0, latencies: createHistogram(), refused: {} };
  const begun = performance.now();
  let n = 0;
  await Promise.all(connections.map(async (client) => {
    while (performance.now() - begun < ms) {
      const from = performance.now();
      await statement(client, n++);
      record(load.latencies, performance.now() - from);
      load.done += 1;
    }
  }));
  load.ms = performance.now() - begun;
  await Promise.all(connections.map((client) => client.end()));
  return load;
}

function orderRow(n: number): unknown[] {
  const requestId = randomUUIDv7();
  const orderId = orderIdOf('demo-backend', requestId, '');
  const lines = [{ sku: `spread-${n % 1_000}`, name: `Benchmark article ${n % 1_000}`, quantity: 1, unit_price: 1_999 }];
  const address = { name: 'Ada Example', line1: 'Mill Lane 1', line2: '', city: 'Cambridge', region: '', postalCode: 'CB1 1AA', countryCode: 'GB' };
  const email = `ada.${n % 10_000}@example.com`;
  const detail = { lines: '1', total: '1999', currency: 'EUR', state: 'PENDING_PAYMENT', payment_state: 'UNPAID', version: '1' };
  const money = { currencyCode: 'EUR', minorUnits: '1999' };
  const body = { orderId, version: 1, customer: { customerId: `customer-${n % 10_000}`, name: 'Ada Example', email }, lines: [{ sku: lines[0]?.sku, name: lines[0]?.name, quantity: 1, unitPrice: money, lineTotal: money }], total: money, paymentDueTime: '2030-01-01T00:00:00.000Z' };
  return [orderId, requestId, `customer-${n % 10_000}`, email, JSON.stringify(lines), 1_999, JSON.stringify(address), randomUUID(), JSON.stringify(detail), JSON.stringify(body)];
}
