// The whole service, two instances on one database, on a real Postgres and NATS, called over the wire.
import { randomUUID } from 'node:crypto';
import { create, toJsonString, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { errorInfo } from '@millrace/chassis/api/errors';
import { createServiceClient } from '@millrace/chassis/clients/service-client';
import { openDatabase, type Database } from '@millrace/chassis/database/db';
import { eventKind } from '@millrace/chassis/events/contracts';
import type { Running } from '@millrace/chassis/service';
import { InventoryService, MovementKind, ReleaseReason, ReservationState } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { PaymentSucceededSchema } from '@millrace/gen/millrace/payment/v1/events_pb.js';
import { ProductArchivedSchema, ProductCreatedSchema } from '@millrace/gen/millrace/product/v1/events_pb.js';
import { headers } from '@nats-io/transport-node';
import { jetstream } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, startTestNats, type TestDatabase, type TestNats } from '../../../test/support/servers.ts';
import { testKeys, type TestKeys } from '../../../test/support/tokens.ts';
import { log, mustBalance } from '../test/inventory.ts';
import { startInventory } from './main.ts';

let database: TestDatabase;
let nats: TestNats;
let db: Database;
let keys: TestKeys;
let services: Running[];
let client: Awaited<ReturnType<typeof as>>;
let other: typeof client;

beforeAll(async () => {
  [database, nats, keys] = await Promise.all([createDatabase('inventory'), startTestNats(), testKeys()]);
  db = openDatabase(database.url, log);
  const env = { PORT: '0', LOG_LEVEL: 'silent', MILLRACE_JWKS: keys.jwks, DATABASE_URL: database.url, NATS_URL: nats.url('inventory'), MILLRACE_TOKEN: await keys.token('inventory', 'service') };
  services = await Promise.all([startInventory(env, new AbortController().signal), startInventory(env, new AbortController().signal)]);
  [client, other] = [await as('service'), await as('service', 1)];
});
afterAll(async () => {
  await mustBalance(db);
  await Promise.all(services.map((service) => service.stop()));
  await db.close();
  await nats.stop();
  await database.drop();
});

async function as(role: 'admin' | 'buyer' | 'service', instance = 0) {
  return createServiceClient(InventoryService, { url: services[instance]?.url ?? '', token: await keys.token(`test-${role}`, role) });
}

/** Says an event as another service would, and waits until it was heard. */
async function say<D extends DescMessage>(service: string, schema: D, ...bodies: MessageInitShape<D>[]): Promise<void> {
  const connection = await nats.connect(service);
  const kind = eventKind(schema);
  for (const body of bodies) {
    const message = create(schema, body);
    const id = randomUUID();
    const meta = headers();
    for (const [key, value] of Object.entries({ 'ce-id': id, 'ce-type': schema.typeName, 'ce-time': new Date().toISOString(), 'millrace-version': '1', 'Nats-Msg-Id': id })) meta.set(key, value);
    await jetstream(connection).publish(`${kind.subject}.x`, toJsonString(schema, message), { headers: meta });
  }
  await connection.close();
  for (const running of services) await running.drain();
}

const open = (sku: string, initialStock: number, lowStockThreshold = 0) => say('product', ProductCreatedSchema, { sku, version: 1, name: sku, initialStock, lowStockThreshold });

async function refusal(call: Promise<unknown>): Promise<[string | undefined, string | undefined, Record<string, string> | undefined]> {
  const error = await call.then(() => undefined, (failure: unknown) => failure);
  const info = errorInfo(error);
  return [error instanceof ConnectError ? Code[error.code] : undefined, info?.reason, info?.metadata];
}

describe('the life of stock over the wire', () => {
  it('opened by a product, held, sold by a payment, every movement in the ledger', async () => {
    await open('life', 10, 2);
    expect((await client.getStock({ sku: 'life' })).stockLevel).toMatchObject({ onHand: 10, reserved: 0, available: 10, lowStockThreshold: 2, low: false, version: 1 });
    const { reservation } = await client.reserveStock({ orderId: 'life-1', lines: [{ sku: 'life', quantity: 1 }, { sku: 'life', quantity: 2 }] });
    expect(reservation).toMatchObject({ state: ReservationState.HELD, lines: [{ sku: 'life', quantity: 3 }], version: 1 });
    if (reservation?.holdUntil === undefined || reservation.createTime === undefined) throw new Error('a hold has a deadline');
    expect(timestampDate(reservation.holdUntil).getTime() - timestampDate(reservation.createTime).getTime()).toBe(30 * 60_000);
    await say('payment', PaymentSucceededSchema, { orderId: 'life-1', version: 2 });
    expect((await client.getReservation({ orderId: 'life-1' })).reservation).toMatchObject({ state: ReservationState.COMMITTED, version: 2 });
    expect((await other.getStock({ sku: 'life' })).stockLevel).toMatchObject({ onHand: 7, reserved: 0, available: 7, version: 3 });
    const { movements } = await client.listMovements({ sku: 'life' });
    expect(movements.map(({ kind, onHandDelta, reservedDelta, orderId, actor }) => [MovementKind[kind], onHandDelta, reservedDelta, orderId, actor])).toEqual([
      ['COMMITTED', -3, -3, 'life-1', 'inventory'],
      ['HELD', 0, 3, 'life-1', 'test-service'],
      ['OPENED', 10, 0, '', 'inventory'],
    ]);
  });

  it('300 buyers at once at two instances for 50 units over two skus: exactly 50 hold them, each other is out of stock', async () => {
    await open('left', 50);
    await open('right', 50);
    const lines = [{ sku: 'left', quantity: 1 }, { sku: 'right', quantity: 1 }];
    const calls = Array.from({ length: 300 }, (_, i) => refusal((i % 2 === 0 ? client : other).reserveStock({ orderId: `crowd-${i}`, lines: i % 3 === 0 ? lines : lines.toReversed() })));
    const reasons = (await Promise.all(calls)).map(([, reason]) => reason ?? 'held');
    expect(reasons.filter((reason) => reason === 'held')).toHaveLength(50);
    expect(reasons.filter((reason) => reason === 'OUT_OF_STOCK')).toHaveLength(250);
  });

  it('many reservations in one call are each answered by themselves, in order', async () => {
    await open('many', 3);
    const requests = ['a', 'b', 'c'].map((name) => ({ orderId: `many-${name}`, lines: [{ sku: 'many', quantity: 2 }] }));
    const { results } = await client.reserveStockMany({ requests: [...requests, { orderId: 'many-d', lines: [{ sku: 'many-nothing', quantity: 1 }] }, { orderId: 'many-e', lines: [{ sku: 'many', quantity: 1 }] }] });
    expect(results.map(({ result }) => (result.case === 'refusal' ? [result.value.reason, result.value.metadata] : result.value?.state))).toEqual([
      ReservationState.HELD,
      ['OUT_OF_STOCK', { sku: 'many', requested: '2', available: '1' }],
      ['OUT_OF_STOCK', { sku: 'many', requested: '2', available: '1' }],
      ['UNKNOWN_SKU', { sku: 'many-nothing' }],
      ReservationState.HELD,
    ]);
    expect((await refusal((await as('admin')).reserveStockMany({ requests })))[1]).toBe('PERMISSION_DENIED');
  });

  it('a deadline that no database can hold is refused', async () => {
    await open('deadline', 5);
    for (const seconds of [-1n, 253_402_300_800n, 9_223_372_036_854_775_807n]) {
      expect((await refusal(client.reserveStock({ orderId: 'deadline-1', lines: [{ sku: 'deadline', quantity: 1 }], holdUntil: { seconds, nanos: 0 } })))[1]).toBe('INVALID_FIELD');
    }
  });

  it('a hold given back by hand is given back once, and one that is sold never', async () => {
    await open('back', 5);
    await client.reserveStock({ orderId: 'back-1', lines: [{ sku: 'back', quantity: 5 }] });
    const { reservation } = await client.releaseStock({ orderId: 'back-1' });
    expect(reservation).toMatchObject({ state: ReservationState.RELEASED, releaseReason: ReleaseReason.REQUESTED });
    expect((await client.releaseStock({ orderId: 'back-1' })).reservation).toEqual(reservation);
    expect(await refusal(client.reserveStock({ orderId: 'back-1', lines: [{ sku: 'back', quantity: 5 }] }))).toEqual(['FailedPrecondition', 'ILLEGAL_TRANSITION', { state: 'RESERVATION_STATE_RELEASED' }]);
    await client.reserveStock({ orderId: 'back-2', lines: [{ sku: 'back', quantity: 5 }] });
    await say('payment', PaymentSucceededSchema, { orderId: 'back-2', version: 2 });
    expect(await refusal(client.releaseStock({ orderId: 'back-2' }))).toEqual(['FailedPrecondition', 'ILLEGAL_TRANSITION', { state: 'RESERVATION_STATE_COMMITTED' }]);
    expect((await refusal(client.releaseStock({ orderId: 'back-3' }))).slice(0, 2)).toEqual(['NotFound', 'NOT_FOUND']);
  });

  it('an archived product can not be held any more', async () => {
    await open('gone', 5);
    await say('product', ProductArchivedSchema, { sku: 'gone', version: 2 });
    expect(await refusal(client.reserveStock({ orderId: 'gone-1', lines: [{ sku: 'gone', quantity: 1 }] }))).toEqual(['FailedPrecondition', 'PRODUCT_ARCHIVED', { sku: 'gone' }]);
  });
});

describe('operators', () => {
  it('book deliveries and losses once per request id, and never below what is reserved', async () => {
    await open('ops', 5);
    await client.reserveStock({ orderId: 'ops-1', lines: [{ sku: 'ops', quantity: 4 }] });
    const admin = await as('admin');
    const delivery = { sku: 'ops', delta: 10, reason: 'delivery 7', requestId: 'ops-delivery' };
    const first = await admin.adjustStock(delivery);
    expect(first.stockLevel).toMatchObject({ onHand: 15, reserved: 4, available: 11 });
    expect(await admin.adjustStock(delivery)).toEqual(first);
    expect((await refusal(admin.adjustStock({ ...delivery, delta: 11 })))[1]).toBe('REQUEST_ID_REUSED');
    expect(await refusal(admin.adjustStock({ sku: 'ops', delta: -12, requestId: 'ops-loss' }))).toEqual(['FailedPrecondition', 'STOCK_BELOW_RESERVED', { sku: 'ops', on_hand: '15', reserved: '4' }]);
    expect((await admin.adjustStock({ sku: 'ops', delta: -11, requestId: 'ops-loss' })).stockLevel).toMatchObject({ onHand: 4 });
    expect((await refusal(admin.adjustStock({ sku: 'ops-nothing', delta: 1, requestId: 'ops-x' })))[1]).toBe('NOT_FOUND');
    expect((await refusal(admin.adjustStock({ sku: 'ops', delta: 1_000_000_000, requestId: 'ops-y' })))[1]).toBe('INVALID_FIELD');
    const { movements } = await admin.listMovements({ sku: 'ops', pageSize: 2 });
    expect(movements).toMatchObject([{ kind: MovementKind.ADJUSTED, onHandDelta: -11, actor: 'test-admin' }, { reason: 'delivery 7' }]);
  });

  it('set when stock counts as low, and list what is low', async () => {
    await open('low-1', 5);
    await open('low-2', 5);
    expect((await client.setStockPolicy({ sku: 'low-1', lowStockThreshold: 5 })).stockLevel).toMatchObject({ low: true, version: 2 });
    const skus = async () => (await client.listStock({ lowOnly: true })).stockLevels.map(({ sku }) => sku).filter((sku) => sku.startsWith('low-'));
    expect(await skus()).toEqual(['low-1']);
    await client.adjustStock({ sku: 'low-1', delta: 1, requestId: 'low-more' });
    expect(await skus()).toEqual([]);
  });

  it('page through levels by sku and through movements newest first', async () => {
    for (const sku of ['page-a', 'page-b', 'page-c']) await open(sku, 1);
    const all: string[] = [];
    for (let pageToken = ''; ; ) {
      const page = await client.listStock({ pageSize: 2, pageToken });
      all.push(...page.stockLevels.map(({ sku }) => sku));
      pageToken = page.nextPageToken;
      if (pageToken === '') break;
    }
    expect(all).toEqual([...new Set(all)].toSorted());
    expect(all).toEqual(expect.arrayContaining(['page-a', 'page-b', 'page-c']));
    const first = await client.listMovements({ pageSize: 2 });
    const second = await client.listMovements({ pageSize: 2, pageToken: first.nextPageToken });
    expect([...first.movements, ...second.movements].map(({ sku }) => sku).slice(0, 3)).toEqual(['page-c', 'page-b', 'page-a']);
    expect((await refusal(client.listMovements({ sku: 'page-a', pageToken: first.nextPageToken })))[1]).toBe('INVALID_PAGE_TOKEN');
  });
});

it('a watcher gets the levels now and every change, whichever instance makes it', async () => {
  await open('watch-a', 5);
  await open('watch-b', 7);
  const end = new AbortController();
  const stream = (await as('buyer')).watchStock({ skus: ['watch-a', 'watch-b', 'watch-nothing'] }, { signal: end.signal })[Symbol.asyncIterator]();
  const next = async () => (await stream.next()).value?.stockLevel;
  const levels = [await next(), await next()];
  expect(Object.fromEntries(levels.map((level) => [level?.sku, level?.available]))).toEqual({ 'watch-a': 5, 'watch-b': 7 });
  await client.reserveStock({ orderId: 'watch-1', lines: [{ sku: 'watch-b', quantity: 1 }] });
  expect(await next()).toMatchObject({ sku: 'watch-b', available: 6 });
  await other.reserveStock({ orderId: 'watch-2', lines: [{ sku: 'watch-a', quantity: 1 }] });
  expect(await next()).toMatchObject({ sku: 'watch-a', available: 4 });
  end.abort();
  await expect(stream.next()).rejects.toThrow(ConnectError);
});
