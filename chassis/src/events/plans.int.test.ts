// What every service does all the time (outbox, relay, consumer, inbox, request memory, dead letters, retention) must not grow dearer with
// the tables: each statement is explained on tens of thousands of rows.
import { randomUUID } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import { ProductCreatedSchema } from '@millrace/gen/millrace/product/v1/events_pb.js';
import { expect, test } from 'vitest';
import { createDatabase, startTestNats } from '../../../test/support/servers.ts';
import { enlarge, recordStatements, scansOf } from '../../test/plans.ts';
import { openDatabase, sql } from '../database/db.ts';
import { createRetention } from '../database/retention.ts';
import { createLog } from '../telemetry/log.ts';
import { createRegistry } from '../telemetry/metrics.ts';
import { backlogMetrics } from './backlog.ts';
import { lossOf } from './broker.ts';
import { createConsumers, on } from './consumer.ts';
import { buryEvent } from './dead-letters.ts';
import { appendEvents, event } from './outbox.ts';
import { createRelay } from './relay.ts';

const TABLES = ['outbox', 'inbox', 'dead_letter', 'request_memory'];
const EVENTS = 20;
const COPIES = 1_000;

test('every statement finds its rows by an index', async () => {
  await using database = await createDatabase('product');
  await using nats = await startTestNats();
  const log = createLog('test', 'silent');
  const db = openDatabase(database.url, log);
  const [says, hears] = [await nats.connect('product'), await nats.connect('inventory')];
  const recorded = recordStatements();
  const relay = createRelay({ service: 'product', db, log, broker: () => jetstream(says), lost: lossOf(says) });
  const reaction = on(ProductCreatedSchema, async () => {});
  const [consumer] = createConsumers({ service: 'inventory', db, log, reactions: new Map([[ProductCreatedSchema.typeName, reaction]]), broker: () => jetstream(hears) });
  const retention = createRetention(db, log);
  await db.transaction((tx) => appendEvents(tx, Array.from({ length: EVENTS }, (_, n) => event(ProductCreatedSchema, { sku: `fill-e${n}`, version: 1 }))));
  // One that leaves a gap, and one that is to be said again.
  await db.transaction(async (tx) => {
    await appendEvents(tx, [event(ProductCreatedSchema, { sku: 'fill-never', version: 1 })]);
    throw new Error('changed my mind');
  }).catch(() => {});
  await db.transaction((tx) => appendEvents(tx, [event(ProductCreatedSchema, { sku: 'fill-after', version: 1 })]));
  await relay.drain();
  await db.query(sql`INSERT INTO outbox_again SELECT min(position) FROM outbox`);
  await relay.drain();
  const stop = new AbortController();
  const running = consumer?.start(stop.signal);
  await consumer?.drain();
  stop.abort();
  await running;
  await retention.tick();
  const registry = createRegistry('product');
  backlogMetrics(registry, new Map([['product', db]]));
  await registry.metrics();
  await buryEvent(db, { stream: 'PRODUCTS', sequence: 1n, subject: 's', headers: { 'ce-id': randomUUID() }, body: Buffer.from('x'), deliveries: 1 }, new Error('broken'));
  recorded.stop();
  await db.query(sql`DELETE FROM dead_letter`);
  await enlarge(database.url, COPIES);
  expect([...recorded.statements].filter((text) => /\b(outbox|inbox|dead_letter)\b/.test(text)).length).toBeGreaterThan(5);
  expect(await scansOf(db, recorded.statements, TABLES)).toEqual([]);
  relay.resign();
  await Promise.all([says.close(), hears.close(), db.close()]);
}, 120_000);
