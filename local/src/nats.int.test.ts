import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type TestNats, newFolder, startTestNats } from '../../test/support/servers.ts';
import { ROOT } from './home.ts';
import { USERS } from './nats.ts';
import { applyTopology } from './streams.ts';
import { STREAMS } from './topology.ts';

let nats: TestNats;
const open: NatsConnection[] = [];

beforeAll(async () => {
  nats = await startTestNats();
});
afterAll(async () => {
  for (const connection of open) await connection.close();
  await nats.stop();
});

async function as(user: string): Promise<NatsConnection> {
  const connection = await nats.connect(user);
  open.push(connection);
  return connection;
}

async function said(subject: string): Promise<void> {
  await jetstream(await as('setup')).publish(subject, '{}');
}

test('every stream keeps by limits, refuses when full and takes atomic batches', async () => {
  const manager = await jetstreamManager(await as('setup'));
  for (const stream of STREAMS) {
    const { config } = await manager.streams.info(stream);
    expect(config).toMatchObject({ retention: 'limits', storage: 'file', discard: 'new', allow_atomic: true, allow_direct: true, subjects: [`${stream.toLowerCase()}.>`] });
  }
});

test('a service publishes its own events and reads and acks its own consumer', async () => {
  const order = await as('order');
  await expect(jetstream(order).publish('orders.placed.o-1', '{}')).resolves.toMatchObject({ stream: 'ORDERS' });

  const payment = await as('payment');
  const consumer = await jetstream(payment).consumers.get('ORDERS', 'payment');
  const message = await consumer.next({ expires: 5_000 });
  expect(message?.subject).toBe('orders.placed.o-1');
  await expect(message?.ackAck()).resolves.toBe(true);
});

test("a service cannot publish another's subject", async () => {
  await expect(jetstream(await as('payment')).publish('orders.placed.o-2', '{}', { timeout: 1_000 })).rejects.toThrow(/permissions violation/i);
});

test("a service cannot take another's messages", async () => {
  const order = await as('order');
  const manager = await jetstreamManager(order, { checkAPI: false });
  await expect(manager.consumers.info('ORDERS', 'payment')).rejects.toThrow(/permissions violation/i);
  await expect(order.request('$JS.API.CONSUMER.MSG.NEXT.ORDERS.payment', '{"batch":1}', { timeout: 1_000 })).rejects.toThrow(/permissions violation/i);
});

test('a service can neither delete nor purge a stream, not even its own', async () => {
  const manager = await jetstreamManager(await as('order'), { checkAPI: false });
  await expect(manager.streams.delete('ORDERS')).rejects.toThrow(/permissions violation/i);
  await expect(manager.streams.purge('ORDERS')).rejects.toThrow(/permissions violation/i);
});

test('a service cannot listen in on events or on the inboxes of others', async () => {
  const inventory = await as('inventory');
  for (const subject of ['orders.>', '_INBOX_order.>', '>']) {
    const refused = new Promise<Error | undefined>((resolve) => inventory.subscribe(subject, { callback: (error) => resolve(error ?? undefined) }));
    expect((await refused)?.message).toMatch(/permissions violation/i);
  }
});

test('the inspector sees events and views a stream through a consumer of its own', async () => {
  await said('orders.placed.o-3');
  const inspector = await as('inspector');
  const manager = await jetstreamManager(inspector);
  const names = await manager.streams.names().next();
  expect(names.toSorted()).toEqual([...STREAMS].toSorted());
  expect((await manager.streams.getMessage('ORDERS', { last_by_subj: 'orders.placed.o-3' }))?.subject).toBe('orders.placed.o-3');

  // As `nats stream view` does it.
  await manager.consumers.add('ORDERS', { durable_name: 'stream_pager_1', ack_policy: AckPolicy.Explicit, inactive_threshold: 60e9 });
  const consumer = await jetstream(inspector).consumers.get('ORDERS', 'stream_pager_1');
  const message = await consumer.next({ expires: 5_000 });
  expect(await message?.ackAck()).toBe(true);
  expect(await manager.consumers.delete('ORDERS', 'stream_pager_1')).toBe(true);
});

test('the inspector cannot publish, delete, or touch what a service reads', async () => {
  const inspector = await as('inspector');
  const manager = await jetstreamManager(inspector);
  await expect(jetstream(inspector).publish('orders.placed.o-4', '{}', { timeout: 1_000 })).rejects.toThrow(/permissions violation/i);
  await expect(manager.streams.delete('ORDERS')).rejects.toThrow(/permissions violation/i);
  await expect(manager.streams.purge('ORDERS')).rejects.toThrow(/permissions violation/i);
  await expect(manager.streams.deleteMessage('ORDERS', 1)).rejects.toThrow(/permissions violation/i);
  await expect(manager.consumers.delete('ORDERS', 'payment')).rejects.toThrow(/permissions violation/i);
  await expect(manager.consumers.update('ORDERS', 'payment', { max_ack_pending: 1 })).rejects.toThrow(/permissions violation/i);
  await expect(inspector.request('$JS.API.CONSUMER.MSG.NEXT.ORDERS.payment', '{"batch":1}', { timeout: 1_000 })).rejects.toThrow(/permissions violation/i);
});

test('an event that is heard apart from now on goes on where it was heard with the rest of its stream', async () => {
  const setup = await as('setup');
  const manager = await jetstreamManager(setup);
  // As it was before.
  for (const durable of ['order-committed', 'order-released']) await manager.consumers.delete('INVENTORY', durable);
  await manager.consumers.update('INVENTORY', 'order', { filter_subjects: ['inventory.committed.*', 'inventory.released.*', 'inventory.shortfall.*'] });
  for (const order of ['o-1', 'o-2', 'o-3']) await jetstream(setup).publish(`inventory.committed.${order}`, '{}');
  const before = await jetstream(await as('order')).consumers.get('INVENTORY', 'order');
  await (await before.next({ expires: 5_000 }))?.ackAck();
  const taken = await before.next({ expires: 5_000 });
  expect(taken?.subject).toBe('inventory.committed.o-2');

  await applyTopology(setup);
  await applyTopology(setup);
  const apart = await jetstream(await as('order')).consumers.get('INVENTORY', 'order-committed');
  const heard = [await apart.next({ expires: 5_000 }), await apart.next({ expires: 5_000 })];
  expect(heard.map((message) => message?.subject)).toEqual(['inventory.committed.o-2', 'inventory.committed.o-3']);
  await Promise.all(heard.map(async (message) => message?.ackAck()));
  expect((await apart.info()).num_pending).toBe(0);

  // One that is lost later hears everything again: how far it was, nobody knows.
  await manager.consumers.delete('INVENTORY', 'order-committed');
  await applyTopology(setup);
  expect((await manager.consumers.info('INVENTORY', 'order-committed')).num_pending).toBe(3);
});

test('what was acknowledged is there after kill -9', async () => {
  const folder = newFolder('nats');
  const first = await startTestNats({ folder });
  const before = await first.connect('order');
  await jetstream(before).publish('orders.placed.o-9', '{}');
  const gone = before.closed();
  await before.close();
  await gone;
  await first.kill();

  await using second = await startTestNats({ folder });
  const connection = await second.connect('inspector');
  const stored = await (await jetstreamManager(connection)).streams.getMessage('ORDERS', { last_by_subj: 'orders.placed.o-9' });
  expect(stored?.subject).toBe('orders.placed.o-9');
  await connection.close();
});

test("nats-server accepts the containers' configuration", () => {
  const env = Object.fromEntries(USERS.map((user) => [`NATS_PASSWORD_${user.toUpperCase()}`, 'p123']));
  const { status, stderr } = spawnSync(inject('natsServer'), ['-t', '-c', path.join(ROOT, 'deploy/nats.conf')], { env: { ...process.env, ...env }, encoding: 'utf8' });
  expect(stderr).toMatch(/is valid/);
  expect(status).toBe(0);
});
