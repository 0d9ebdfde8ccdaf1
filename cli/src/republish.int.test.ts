// A stream that lost events, on a real Postgres, a real NATS and the services' own relay.
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { openDatabase, sql, type Database } from '@millrace/chassis/database/db';
import { lossOf } from '@millrace/chassis/events/broker';
import { appendEvents, event } from '@millrace/chassis/events/outbox';
import { createRelay } from '@millrace/chassis/events/relay';
import { createLog } from '@millrace/chassis/telemetry/log';
import { ProductCreatedSchema } from '@millrace/gen/millrace/product/v1/events_pb.js';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { applyTopology } from '../../local/src/streams.ts';
import { createDatabase, startTestNats, type TestDatabase, type TestNats } from '../../test/support/servers.ts';
import { republish } from './republish.ts';

const HOUR_AGO = () => new Date(Date.now() - 3_600_000);
const log = createLog('test', 'silent');
let nats: TestNats;
let database: TestDatabase;
let product: Database;
let relay: ReturnType<typeof createRelay>;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  nats = await startTestNats();
  const connection = await nats.connect('product');
  closing.push(() => connection.close());
  const js = jetstream(connection);
  database = await createDatabase('product');
  product = openDatabase(database.url, log);
  relay = createRelay({ service: 'product', db: product, log, broker: () => js, lost: lossOf(connection) });
});
afterAll(async () => {
  relay.resign();
  for (const close of closing) await close();
  await product.close();
  await database.drop();
  await nats.stop();
});
beforeEach(async () => {
  await makeAnew();
  await product.query(sql`DELETE FROM outbox`);
});

const places = () => ({ postgres: { product: database.url }, nats: nats.url('inspector') });

async function asSetup<T>(work: (manager: Awaited<ReturnType<typeof jetstreamManager>>) => Promise<T>): Promise<T> {
  const connection = await nats.connect('setup');
  try {
    return await work(await jetstreamManager(connection));
  } finally {
    await connection.close();
  }
}

/** An empty stream that remembers no ids, as a broker has it that lost its disk. */
async function makeAnew(): Promise<void> {
  await asSetup((manager) => manager.streams.delete('PRODUCTS').catch(() => false));
  const connection = await nats.connect('setup');
  await applyTopology(connection, 64 * 1024 ** 2);
  await connection.close();
}

async function publish(...skus: string[]): Promise<void> {
  await product.transaction((tx) => appendEvents(tx, skus.map((sku) => event(ProductCreatedSchema, { sku, version: 1, name: sku }))));
  await relay.drain();
}

/** Skus in the order in which the stream has them. */
const inStream = () =>
  asSetup(async (manager) => {
    const skus: string[] = [];
    const { first_seq: first, last_seq: last } = (await manager.streams.info('PRODUCTS')).state;
    for (let seq = Math.max(first, 1); seq <= last; seq += 1) {
      const message = await manager.streams.getMessage('PRODUCTS', { seq });
      if (message) skus.push(message.json<{ sku: string }>().sku);
    }
    return skus;
  });

test('what is lost, and only that, is published again', async () => {
  await publish('a', 'b', 'c', 'd', 'e');
  await makeAnew();
  await product.query(sql`INSERT INTO outbox_again SELECT position FROM outbox WHERE aggregate_id IN ('a', 'c', 'e')`);
  await relay.drain();
  expect(await republish(places(), 'product', HOUR_AGO(), true)).toEqual({ service: 'product', stream: 'PRODUCTS', said: 5, lost: 2 });
  await relay.drain();
  expect(await inStream()).toEqual(['a', 'c', 'e', 'b', 'd']);
  expect(await republish(places(), 'product', HOUR_AGO(), true)).toMatchObject({ lost: 0 });
});

test('a stream that was made anew gets everything back, in order', async () => {
  const skus = Array.from({ length: 1_234 }, (_, n) => `sku-${n}`);
  await publish(...skus);
  await asSetup((manager) => manager.streams.delete('PRODUCTS'));
  await expect(republish(places(), 'product', HOUR_AGO(), true)).rejects.toThrow('stream not found');
  await makeAnew();
  expect(await republish(places(), 'product', HOUR_AGO(), false)).toMatchObject({ said: 1_234, lost: 1_234 });
  await relay.drain();
  expect(await inStream()).toEqual([]);
  await republish(places(), 'product', HOUR_AGO(), true);
  await relay.drain();
  expect(await inStream()).toEqual(skus);
}, 60_000);

test('what is older, or was never published, is left alone', async () => {
  await publish('old', 'new');
  await product.query(sql`UPDATE outbox SET create_time = now() - interval '2 hours' WHERE aggregate_id = 'old'`);
  await product.transaction((tx) => appendEvents(tx, [event(ProductCreatedSchema, { sku: 'waiting', version: 1, name: 'w' })]));
  await makeAnew();
  expect(await republish(places(), 'product', HOUR_AGO(), true)).toMatchObject({ said: 1, lost: 1 });
});
