// Outbox → relay → stream → consumer → inbox, on a real Postgres and a real NATS.

import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { create, type Message } from '@bufbuild/protobuf';
import { headers } from '@nats-io/transport-node';
import { jetstream, jetstreamManager, type JetStreamClient } from '@nats-io/jetstream';
import { ProductArchivedSchema, type ProductCreated, ProductCreatedSchema } from '@millrace/gen/millrace/product/v1/events_pb.js';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createDatabase, newFolder, startTestNats, type TestDatabase, type TestNats } from '../../../test/support/servers.ts';
import { recordStatements } from '../../test/plans.ts';
import { openDatabase, sql, type Database, type Tx } from '../database/db.ts';
import type { Loop } from '../flow/loop.ts';
import { createLog } from '../telemetry/log.ts';
import { connectBroker, lossOf } from './broker.ts';
import { createConsumers, on, type Reaction } from './consumer.ts';
import { handleNew, handleOnce, type Heard, isRepeat } from './inbox.ts';
import { headersOf } from './message-headers.ts';
import { appendEvents, event } from './outbox.ts';
import { type Relay, createRelay } from './relay.ts';

const log = createLog('test', 'silent');
/** So many events the relay publishes one by one; more in a batch, whose headers the client adds to. */
const FEW = 8;
/** The consumers' ack_wait is 10 s. */
const LONGER_THAN_ACK_WAIT_MS = 12_000;
let nats: TestNats;
let databases: TestDatabase[];
let producer: Database;
let listener: Database;
let stop: AbortController;
let started: Promise<unknown>[];
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => void (nats = await startTestNats()));
afterAll(async () => nats.stop());

beforeEach(async () => {
  stop = new AbortController();
  started = [];
  databases = [await createDatabase('product'), await createDatabase('product')];
  [producer, listener] = databases.map((database) => openDatabase(database.url, log)) as [Database, Database];
  const manager = await jetstreamManager(await connectAs('setup'));
  await manager.streams.purge('PRODUCTS');
});

afterEach(async () => {
  stop.abort();
  await Promise.all(started);
  for (const close of closing.splice(0)) await close();
  await Promise.all([producer.close(), listener.close()]);
  await Promise.all(databases.map((database) => database.drop()));
});

async function connectAs(user: string) {
  const connection = await connectBroker(nats.url(user), user, log, stop.signal);
  if (connection === undefined) throw new Error('no broker');
  closing.push(() => connection.close());
  return connection;
}

async function relayOf(db: Database): Promise<Relay> {
  const connection = await connectAs('product');
  const js = jetstream(connection);
  const relay = createRelay({ service: 'product', db, log, broker: () => js, lost: lossOf(connection) });
  closing.unshift(async () => relay.resign());
  return relay;
}

/** Ends the session of whoever publishes. */
const endLeadership = (db: Database) => db.query(sql`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()`);

async function listen(reactions: Reaction[], db = listener): Promise<Loop> {
  const js = jetstream(await connectAs('inventory'));
  const [consumer] = createConsumers({ service: 'inventory', db, log, reactions: new Map(reactions.map((r) => [r.schema.typeName, r])), broker: () => js });
  if (consumer === undefined) throw new Error('no consumer');
  started.push(consumer.start(stop.signal));
  return consumer;
}

const created = (sku: string, version = 1) => event(ProductCreatedSchema, { sku, version, name: `name of ${sku}`, initialStock: 3 });

async function say(...events: ReturnType<typeof created>[]) {
  await producer.transaction((tx) => appendEvents(tx, events));
}

async function published(js?: JetStreamClient): Promise<{ subject: string; id: string; body: unknown }[]> {
  const manager = await (js ?? jetstream(await connectAs('setup'))).jetstreamManager();
  const info = await manager.streams.info('PRODUCTS');
  const messages = [];
  for (let seq = info.state.first_seq; seq <= info.state.last_seq; seq += 1) {
    const message = await manager.streams.getMessage('PRODUCTS', { seq });
    if (message !== null) messages.push({ subject: message.subject, id: message.header.get('ce-id'), body: message.json() });
  }
  return messages;
}

const until = async (condition: () => boolean | Promise<boolean>) => {
  const deadline = performance.now() + 20_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`never true: ${condition.toString()}`);
    await setTimeout(5);
  }
};

test('an event is published once, under its subject, as JSON with CloudEvents headers', async () => {
  await say(created('MUG'), created('a.b'));
  const relay = await relayOf(producer);
  await relay.drain();
  await relay.drain();
  const messages = await published();
  expect(messages.map((message) => message.subject)).toEqual(['products.created.MUG', 'products.created.a%2Eb']);
  expect(messages[0]?.body).toEqual({ sku: 'MUG', version: 1, name: 'name of MUG', initialStock: 3 });
});

test('headers are written and read as the client does it', async () => {
  const foreign = headers();
  foreign.set('ce-id', 'an id: with a colon');
  foreign.append('twice', 'first');
  foreign.append('twice', 'second');
  foreign.append('constructor', 'a member of every object');
  foreign.set('size', ' größer ');
  const js = jetstream(await connectAs('product'));
  await js.publish('products.created.A', '{}', { headers: foreign });
  await say(...Array.from({ length: FEW + 1 }, (_, i) => created(`B-${i}`)), created('Größe'));
  await (await relayOf(producer)).drain();
  const consumer = await jetstream(await connectAs('inventory')).consumers.get('PRODUCTS', 'inventory');
  const read = [];
  for await (const message of await consumer.fetch({ max_messages: FEW + 3, expires: 5_000 })) {
    expect(headersOf(message)).toEqual(Object.fromEntries([...(message.headers ?? [])].map(([name, [value]]) => [name, value])));
    read.push(headersOf(message));
    message.ack();
  }
  expect(read[0]).toEqual({ 'ce-id': 'an id: with a colon', twice: 'first', constructor: 'a member of every object', size: 'größer' });
  expect(read[1]).toMatchObject({ 'ce-type': 'millrace.product.v1.ProductCreated', 'ce-subject': 'B-0', 'ce-specversion': '1.0', 'content-type': 'application/json', 'millrace-version': '1' });
  expect(read.at(-1)).toMatchObject({ 'ce-subject': 'Größe', 'Nats-Msg-Id': read.at(-1)?.['ce-id'] });
});

test('an event of a transaction that rolls back is never published', async () => {
  await expect(producer.transaction(async (tx) => {
    await appendEvents(tx, [created('GHOST')]);
    throw new Error('changed my mind');
  })).rejects.toThrow('changed my mind');
  await (await relayOf(producer)).drain();
  expect(await published()).toEqual([]);
});

test('a kill between publishing and marking repeats nothing in the stream', async () => {
  await say(created('A'), created('B'));
  const killed = await relayOf(producer);
  await killed.drain();
  killed.resign();
  await producer.query(sql`UPDATE outbox_mark SET position = 0`);
  await say(created('C'));
  await (await relayOf(producer)).drain();
  expect((await published()).map((message) => message.subject)).toEqual(['products.created.A', 'products.created.B', 'products.created.C']);
  expect(await producer.query(sql`SELECT FROM outbox_unpublished`)).toEqual([]);
});

test('an event that is overtaken by another is published when it is committed, and what will never be is not waited for', async () => {
  const relay = await relayOf(producer);
  const [committing, begun] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const slow = producer.transaction(async (tx) => {
    await appendEvents(tx, [created('SLOW')]);
    begun.resolve();
    await committing.promise;
  });
  await begun.promise;
  await producer.transaction(async (tx) => {
    await appendEvents(tx, [created('GHOST')]);
    throw new Error('changed my mind');
  }).catch(() => {});
  await say(created('FAST'));
  await relay.drain();
  expect((await published()).map((message) => message.subject)).toEqual(['products.created.FAST']);
  // The mark waits for the slow one, though the relay has looked who is writing, and nothing is published twice meanwhile.
  const mark = async () => (await producer.query<{ position: bigint }>(sql`SELECT position FROM outbox_mark`))[0]?.position ?? 0n;
  const before = await mark();
  const recorded = recordStatements();
  await until(async () => (await relay.tick()) === 0 && [...recorded.statements].some((text) => text.includes('pg_locks')));
  recorded.stop();
  expect(await relay.tick()).toBe(0);
  expect(await mark()).toBe(before);
  committing.resolve();
  await slow;
  await relay.drain();
  expect((await published()).map((message) => message.subject)).toEqual(['products.created.FAST', 'products.created.SLOW']);
  await until(async () => (await relay.tick()) === 0 && (await mark()) === before + 3n);
  expect(await producer.query(sql`SELECT FROM outbox_unpublished`)).toEqual([]);
});

test('a database that has failed over may give positions out again', async () => {
  const relay = await relayOf(producer);
  await say(created('A'), created('B'));
  await relay.drain();
  for (const statement of [sql`DELETE FROM outbox`, sql`UPDATE outbox_mark SET position = 0`, sql`ALTER SEQUENCE outbox_position_seq RESTART`]) await producer.query(statement);
  await endLeadership(producer);
  await say(created('C'));
  await until(async () => (await relay.tick().catch(() => 0)) === 1);
  expect((await published()).map((message) => message.subject)).toEqual(['products.created.A', 'products.created.B', 'products.created.C']);
});

test('of two relays only one publishes, and the other takes over when its session ends', async () => {
  const first = await relayOf(producer);
  await say(created('A'));
  await first.drain();
  const secondDb = openDatabase(databases[0]?.url ?? '', log);
  closing.push(() => secondDb.close());
  const second = await relayOf(secondDb);
  await say(created('B'));
  expect(await second.tick()).toBe(0);
  await endLeadership(secondDb);
  await until(async () => (await second.tick()) === 1);
  expect(await published()).toHaveLength(2);
});

test('a backlog goes out in the order of the outbox', async () => {
  await say(...Array.from({ length: 1_234 }, (_, i) => created('MUG', i + 1)));
  await (await relayOf(producer)).drain();
  const versions = (await published()).map((message) => (message.body as { version: number }).version);
  expect(versions).toEqual(Array.from({ length: 1_234 }, (_, i) => i + 1));
});

test('what was under way when the broker died is published as soon as it is back', async () => {
  const folder = newFolder('dying-nats');
  const first = await startTestNats({ folder });
  const connection = await connectBroker(first.url('product'), 'product', log, stop.signal);
  if (connection === undefined) throw new Error('no broker');
  closing.push(async () => connection.close());
  const js = jetstream(connection);
  const lost = lossOf(connection);
  const relay = createRelay({ service: 'product', db: producer, log, broker: () => js, lost });
  closing.unshift(async () => relay.resign());
  await say(created('UNDER'), created('WAY'));

  process.kill(first.process.pid, 'SIGSTOP');
  const before = connection.stats().outMsgs;
  const failure = relay.tick().catch((error: unknown) => error);
  await until(() => connection.stats().outMsgs > before);
  await first.kill();
  expect(await failure).toMatchObject({ message: 'the connection to the broker was lost' });

  await using again = await startTestNats({ folder, port: first.port });
  await until(() => !lost().aborted);
  await relay.drain();
  const reader = await again.connect('setup');
  expect((await published(jetstream(reader))).map((message) => message.subject)).toEqual(['products.created.UNDER', 'products.created.WAY']);
  await reader.close();
});

/** An effect that nothing keeps from happening twice: a row for each time. */
const effect = (tx: Tx, events: Heard<ProductCreated>[]) =>
  tx.query(sql`INSERT INTO request_memory (method, caller, request_id, fingerprint) SELECT 'effect', gen_random_uuid()::text, unnest(${events.map(({ body }) => body.sku)}::text[]), ''`);
const effects = async () => (await listener.query<{ sku: string }>(sql`SELECT request_id AS sku FROM request_memory WHERE method = 'effect' ORDER BY request_id`)).map(({ sku }) => sku);

test('every event has its effect once, however often it is delivered, alone and among new ones', async () => {
  const consumer = await listen([on(ProductCreatedSchema, async (tx, events) => void (await effect(tx, events)))]);
  const relay = await relayOf(producer);
  await say(created('A'), created('B'));
  await relay.drain();
  await consumer.drain();
  // The same events under new message ids, as after a lost acknowledgement beyond the dedupe window.
  const js = jetstream(await connectAs('product'));
  const again = async () => {
    for (const message of await published()) {
      const h = headers();
      h.set('ce-id', message.id);
      h.set('ce-type', ProductCreatedSchema.typeName);
      await js.publish(message.subject, JSON.stringify(message.body), { headers: h });
    }
  };
  await again();
  await consumer.drain();
  expect(await effects()).toEqual(['A', 'B']);
  await say(created('C'), created('D'));
  await Promise.all([again(), relay.drain()]);
  await consumer.drain();
  expect(await effects()).toEqual(['A', 'B', 'C', 'D']);
});

test('a reaction that fails over a repeat fails for nothing: the new events beside it have their effect', async () => {
  const id = randomUUID();
  const heard = (sku: string, eventId = randomUUID()): Heard<Message> => ({ id: eventId, type: ProductCreatedSchema.typeName, time: new Date(), version: 1, body: create(ProductCreatedSchema, { sku }) });
  const reactions = new Map([[ProductCreatedSchema.typeName, on(ProductCreatedSchema, async (tx, events) => {
    await effect(tx, events);
    if (events.some(({ body }) => body.sku === 'BAD')) throw new Error('not again');
  })]]);
  await listener.transaction((tx) => handleNew(tx, [heard('A', id)], reactions));
  const failure = await listener.transaction((tx) => handleNew(tx, [heard('B'), heard('BAD', id)], reactions)).catch((error: unknown) => error);
  expect(isRepeat(failure)).toBe(true);
  await listener.transaction((tx) => handleOnce(tx, [heard('B'), heard('BAD', id)], reactions));
  expect(await effects()).toEqual(['A', 'B']);
  await expect(listener.transaction((tx) => handleNew(tx, [heard('BAD')], reactions))).rejects.toThrow('not again');
});

test('of a backlog two batches are under way at once, and each event has its effect once', async () => {
  await say(...Array.from({ length: 1_500 }, (_, i) => created(`MUG-${i}`)));
  await (await relayOf(producer)).drain();
  const heard: string[] = [];
  let [underWay, most] = [0, 0];
  const consumer = await listen([
    on(ProductCreatedSchema, async (_tx, events) => {
      most = Math.max(most, (underWay += 1));
      await until(() => most > 1);
      heard.push(...events.map(({ body }) => body.sku));
      underWay -= 1;
    }),
  ]);
  await until(() => heard.length >= 1_500);
  await consumer.drain();
  expect(most).toBe(2);
  expect(new Set(heard).size).toBe(1_500);
  expect(heard).toHaveLength(1_500);
}, 30_000);

test('a handler slower than ack_wait keeps its message: a second worker never sees it', async () => {
  const seen: string[] = [];
  const workAs = async (worker: string) =>
    listen([on(ProductCreatedSchema, async (_tx, events) => {
      seen.push(...events.map(({ body }) => `${worker} ${body.sku}`));
      await setTimeout(LONGER_THAN_ACK_WAIT_MS);
    })]);
  const manager = await jetstreamManager(await connectAs('setup'));
  const deliveries = async () => (await manager.consumers.info('PRODUCTS', 'inventory')).delivered.consumer_seq;
  const before = await deliveries();
  const first = await workAs('first');
  await say(created('A'));
  await (await relayOf(producer)).drain();
  await until(() => seen.length === 1);
  await workAs('second');
  await first.drain();
  expect(seen).toEqual(['first A']);
  expect(await deliveries()).toBe(before + 1);
});

test('an effect and its inbox row are committed together or not at all', async () => {
  let failures = 0;
  const consumer = await listen([on(ProductCreatedSchema, async (tx, events) => {
    await tx.query(sql`INSERT INTO request_memory (method, caller, request_id, fingerprint) SELECT 'effect', '', unnest(${events.map((e) => e.body.sku)}::text[]), ''`);
    if (failures++ === 0) throw new Error('the first try fails');
  })]);
  await say(created('A'));
  await (await relayOf(producer)).drain();
  await consumer.drain();
  expect(await listener.query(sql`SELECT request_id FROM request_memory`)).toEqual([{ request_id: 'A' }]);
  expect(failures).toBe(2);
});

test('a poison event becomes a dead letter with its bytes and its cause, and its neighbours have their effect', async () => {
  const seen: string[] = [];
  const consumer = await listen([on(ProductCreatedSchema, async (_tx, events) => void seen.push(...events.map((e) => e.body.sku)))]);
  const js = jetstream(await connectAs('product'));
  const h = headers();
  h.set('ce-id', randomUUID());
  h.set('ce-type', ProductCreatedSchema.typeName);
  await js.publish('products.created.BAD', '{"sku": 7', { headers: h });
  await js.publish('products.created.NOID', '{}');
  await js.publish('products.created.ZERO', '\0\u0001', { headers: h });
  await say(created('GOOD'));
  await (await relayOf(producer)).drain();
  await consumer.drain();
  expect(seen).toEqual(['GOOD']);
  const letters = await listener.query<{ subject: string; body: Buffer; cause: string }>(sql`SELECT subject, body, cause FROM dead_letter ORDER BY stream_sequence`);
  expect(letters.map((letter) => letter.subject)).toEqual(['products.created.BAD', 'products.created.NOID', 'products.created.ZERO']);
  expect(letters[0]?.body.toString()).toBe('{"sku": 7');
  expect(letters[1]?.cause).toContain('ce-id');
  expect(letters[2]?.body.toString()).toBe('\0\u0001');
});

test('an event of a type without a reaction is parked, not lost', async () => {
  const consumer = await listen([on(ProductCreatedSchema, async () => {})]);
  await producer.transaction((tx) => appendEvents(tx, [event(ProductArchivedSchema, { sku: 'OLD', version: 2 })]));
  await (await relayOf(producer)).drain();
  await consumer.drain();
  expect(await listener.query(sql`SELECT event_type FROM dead_letter`)).toEqual([{ event_type: 'millrace.product.v1.ProductArchived' }]);
});

test('unknown fields of a newer producer are skipped', async () => {
  const names: string[] = [];
  const consumer = await listen([on(ProductCreatedSchema, async (_tx, events) => void names.push(...events.map((e) => e.body.name)))]);
  const h = headers();
  h.set('ce-id', randomUUID());
  h.set('ce-type', ProductCreatedSchema.typeName);
  await jetstream(await connectAs('product')).publish('products.created.N', '{"sku":"N","version":1,"name":"new","colourOfTheFuture":"ultraviolet"}', { headers: h });
  await consumer.drain();
  expect(names).toEqual(['new']);
});

test('while the database is away nothing is acknowledged and nothing is buried', async () => {
  const away = openDatabase('postgres://nobody@127.0.0.1:1/none', log);
  closing.push(() => away.close());
  await listen([on(ProductCreatedSchema, async () => {})], away);
  await say(created('A'));
  await (await relayOf(producer)).drain();
  const manager = await jetstreamManager(await connectAs('setup'));
  await until(async () => (await manager.consumers.info('PRODUCTS', 'inventory')).num_redelivered > 0);
  expect((await manager.consumers.info('PRODUCTS', 'inventory')).num_ack_pending).toBe(1);
});
