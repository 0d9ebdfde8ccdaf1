// The whole service on a real Postgres, called over the wire.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { errorInfo } from '@millrace/chassis/api/errors';
import { createServiceClient } from '@millrace/chassis/clients/service-client';
import { openDatabase, sql, type Database } from '@millrace/chassis/database/db';
import type { Running } from '@millrace/chassis/service';
import { createLog } from '@millrace/chassis/telemetry/log';
import { ProductService, ProductState, type ImportProductsRequestSchema } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { jetstream } from '@nats-io/jetstream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDatabase, startTestNats, type TestDatabase, type TestNats } from '../../../test/support/servers.ts';
import { testKeys, type TestKeys } from '../../../test/support/tokens.ts';
import { startProduct } from './main.ts';

let database: TestDatabase;
let nats: TestNats;
let db: Database;
let keys: TestKeys;
let service: Running;
const stop = new AbortController();

beforeAll(async () => {
  [database, nats, keys] = await Promise.all([createDatabase('product'), startTestNats(), testKeys()]);
  db = openDatabase(database.url, createLog('test', 'silent'));
  const env = { PORT: '0', LOG_LEVEL: 'silent', MILLRACE_JWKS: keys.jwks, DATABASE_URL: database.url, NATS_URL: nats.url('product'), MILLRACE_TOKEN: await keys.token('product', 'service') };
  service = await startProduct(env, stop.signal);
  client = await as('admin');
});
afterAll(async () => {
  await service.stop();
  await db.close();
  await nats.stop();
  await database.drop();
});
beforeEach(async () => void (await db.query(sql`TRUNCATE product, outbox, request_memory`)));

let client: Awaited<ReturnType<typeof as>>;
async function as(role: 'admin' | 'buyer' | 'service') {
  return createServiceClient(ProductService, { url: service.url, token: await keys.token(`test-${role}`, role) });
}

const price = { currencyCode: 'EUR', minorUnits: 1999n };
type Sent = { name?: string; description?: string; attributes?: Record<string, string>; imageUrl?: string; state?: ProductState; revision?: number };
const create = (sku: string, sent: Sent = {}, rest: { initialStock?: number; lowStockThreshold?: number; requestId?: string } = {}) =>
  client.createProduct({ product: { sku, name: `name of ${sku}`, price, ...sent }, ...rest });
const said = async () => (await db.query<{ subject: string; aggregate_version: number }>(sql`SELECT subject, aggregate_version FROM outbox ORDER BY position`)).map((row) => `${row.subject} ${row.aggregate_version}`);

/** Code and reason of a refusal. */
async function refusal(call: Promise<unknown>): Promise<[string | undefined, string | undefined, Record<string, string> | undefined]> {
  const error = await call.then(() => undefined, (failure: unknown) => failure);
  const info = errorInfo(error);
  return [error instanceof ConnectError ? Code[error.code] : undefined, info?.reason, info?.metadata];
}

describe('creating', () => {
  it('stores the product as sent, with state, revision and times of its own, and says it', async () => {
    const { product } = await create('lamp', { description: 'Bright.', attributes: { colour: 'red' }, imageUrl: 'https://x.example/l.png', state: ProductState.ARCHIVED, revision: 9 }, { initialStock: 5, lowStockThreshold: 2 });
    expect(product).toMatchObject({ sku: 'lamp', name: 'name of lamp', description: 'Bright.', price, attributes: { colour: 'red' }, state: ProductState.ACTIVE, revision: 1 });
    expect((await client.getProduct({ sku: 'lamp' })).product).toEqual(product);
    const [row] = await db.query<{ body: string }>(sql`SELECT body FROM outbox`);
    expect(JSON.parse(row?.body ?? '')).toEqual({ sku: 'lamp', version: 1, name: 'name of lamp', price: { currencyCode: 'EUR', minorUnits: '1999' }, initialStock: 5, lowStockThreshold: 2 });
  });

  it('a sku that is taken, also by an archived product, is refused', async () => {
    await create('lamp');
    expect(await refusal(create('lamp'))).toEqual(['AlreadyExists', 'SKU_EXISTS', { sku: 'lamp' }]);
    await client.deleteProduct({ sku: 'lamp' });
    expect(await refusal(create('lamp'))).toEqual(['AlreadyExists', 'SKU_EXISTS', { sku: 'lamp' }]);
    expect(await said()).toEqual(['products.created.lamp 1', 'products.archived.lamp 2']);
  });

  it('a repeat with the same request id answers the same, with another body it is refused, and a failure does not burn the id', async () => {
    await create('taken');
    expect((await refusal(create('taken', {}, { requestId: 'r1' })))[1]).toBe('SKU_EXISTS');
    const first = await create('lamp', {}, { requestId: 'r1' });
    expect(await create('lamp', {}, { requestId: 'r1' })).toEqual(first);
    expect(await refusal(create('other', {}, { requestId: 'r1' }))).toEqual(['AlreadyExists', 'REQUEST_ID_REUSED', { request_id: 'r1' }]);
  });

  it.each([
    ['no name', { name: '' }],
    ['a negative price', { price: { currencyCode: 'EUR', minorUnits: -1n } }],
    ['an illegal sku', { sku: 'a b' }],
    ['a picture that is no web address', { imageUrl: 'javascript:alert(1)' }],
  ])('with %s is refused', async (_name, product) => {
    expect((await refusal(client.createProduct({ product: { sku: 'x', name: 'x', price, ...product } }))).slice(0, 2)).toEqual(['InvalidArgument', 'INVALID_FIELD']);
  });

  it('is not for buyers', async () => {
    const buyer = await as('buyer');
    expect((await refusal(buyer.createProduct({ product: { sku: 'x', name: 'x', price } }))).slice(0, 2)).toEqual(['PermissionDenied', 'PERMISSION_DENIED']);
  });
});

describe('changing', () => {
  it('changes what the mask names, counts a revision and says which fields', async () => {
    await create('lamp');
    const { product } = await client.updateProduct({ product: { sku: 'lamp', name: 'Desk lamp', description: 'ignored', revision: 1 }, updateMask: { paths: ['name'] } });
    expect(product).toMatchObject({ name: 'Desk lamp', description: '', revision: 2 });
    expect(await said()).toEqual(['products.created.lamp 1', 'products.updated.lamp 2']);
  });

  it('to what it is already changes and says nothing', async () => {
    const { product } = await create('lamp');
    expect((await client.updateProduct({ product: { sku: 'lamp', price }, updateMask: { paths: ['price', 'attributes'] } })).product).toEqual(product);
    expect(await said()).toHaveLength(1);
  });

  it('says why not', async () => {
    await create('lamp');
    const update = (paths: string[], revision = 0, sku = 'lamp') => refusal(client.updateProduct({ product: { sku, name: 'x', revision }, updateMask: { paths } }));
    expect(await update(['name'], 4)).toEqual(['Aborted', 'REVISION_CONFLICT', { revision: '1' }]);
    expect((await update(['state'])).slice(0, 2)).toEqual(['InvalidArgument', 'INVALID_UPDATE_MASK']);
    expect((await update([])).slice(0, 2)).toEqual(['InvalidArgument', 'INVALID_UPDATE_MASK']);
    expect((await update(['price'])).slice(0, 2)).toEqual(['InvalidArgument', 'INVALID_FIELD']);
    expect((await update(['name'], 0, 'nothing')).slice(0, 2)).toEqual(['NotFound', 'NOT_FOUND']);
    await client.deleteProduct({ sku: 'lamp' });
    expect(await update(['name'])).toEqual(['FailedPrecondition', 'PRODUCT_ARCHIVED', { sku: 'lamp' }]);
  });

  it('of many callers with the same revision only one gets through', async () => {
    await create('lamp');
    const attempts = Array.from({ length: 10 }, (_, i) => refusal(client.updateProduct({ product: { sku: 'lamp', name: `name ${i}`, revision: 1 }, updateMask: { paths: ['name'] } })));
    const reasons = (await Promise.all(attempts)).map(([, reason]) => reason);
    expect(reasons.filter((reason) => reason === undefined)).toHaveLength(1);
    expect(reasons.filter((reason) => reason === 'REVISION_CONFLICT')).toHaveLength(9);
  });
});

describe('archiving', () => {
  it('keeps the product readable, is said once, and an unknown one is not found', async () => {
    await create('lamp');
    const { product } = await client.deleteProduct({ sku: 'lamp' });
    expect(product).toMatchObject({ state: ProductState.ARCHIVED, revision: 2 });
    expect((await client.deleteProduct({ sku: 'lamp' })).product).toEqual(product);
    expect((await client.batchGetProducts({ skus: ['lamp', 'nothing'] })).products).toEqual([product]);
    expect(await said()).toEqual(['products.created.lamp 1', 'products.archived.lamp 2']);
    expect((await refusal(client.deleteProduct({ sku: 'nothing' }))).slice(0, 2)).toEqual(['NotFound', 'NOT_FOUND']);
  });
});

describe('listing', () => {
  const skusOf = (answer: { products: { sku: string }[] }) => answer.products.map(({ sku }) => sku);

  it('pages stay stable while products come and go, and a token of other filters is refused', async () => {
    for (const sku of ['a', 'b', 'B', 'c', 'd']) await create(sku);
    const first = await client.listProducts({ pageSize: 2 });
    expect(skusOf(first)).toEqual(['B', 'a']);
    await create('A');
    await client.deleteProduct({ sku: 'c' });
    const second = await client.listProducts({ pageSize: 2, pageToken: first.nextPageToken });
    expect([skusOf(second), second.nextPageToken]).toEqual([['b', 'd'], '']);
    expect(skusOf(await client.listProducts({ includeArchived: true }))).toEqual(['A', 'B', 'a', 'b', 'c', 'd']);
    expect(await refusal(client.listProducts({ query: 'x', pageToken: first.nextPageToken }))).toEqual(['InvalidArgument', 'INVALID_PAGE_TOKEN', {}]);
    expect((await refusal(client.listProducts({ pageToken: 'nonsense' })))[1]).toBe('INVALID_PAGE_TOKEN');
  });

  it('finds every word somewhere in sku, name or description, and takes wildcards as they are', async () => {
    await create('lamp-1', { name: 'Desk Lamp', description: '100% brass' });
    await create('lamp-2', { name: 'Floor lamp', description: 'oak_wood' });
    const find = async (query: string) => skusOf(await client.listProducts({ query }));
    expect(await find('LAMP desk')).toEqual(['lamp-1']);
    expect(await find('lamp')).toEqual(['lamp-1', 'lamp-2']);
    expect(await find('100%')).toEqual(['lamp-1']);
    expect(await find('k_w')).toEqual(['lamp-2']);
    expect(await find('%')).toEqual(['lamp-1']);
    expect(await find(String.raw`\ ' " ; --`)).toEqual([]);
  });
});

describe('importing', () => {
  async function* rows(list: MessageInitShape<typeof ImportProductsRequestSchema>[]) {
    yield* list;
  }

  it('creates, updates and leaves alone over several batches; a bad row is named and stops nobody', async () => {
    const row = (i: number, name = `name ${i}`) => ({ product: { sku: `p${i}`, name, price }, initialStock: 1 });
    const all = Array.from({ length: 450 }, (_, i) => row(i));
    expect(await client.importProducts(rows(all))).toMatchObject({ created: 450, updated: 0, unchanged: 0, failed: 0 });
    await client.deleteProduct({ sku: 'p9' });
    const again = [...all.slice(0, 9), row(9), row(10, 'other'), { product: { sku: 'bad sku', name: 'x', price } }, { product: { sku: 'free', name: '', price } }, { product: { sku: 'a\u0000b', name: 'x', price } }, row(450)];
    const summary = await client.importProducts(rows(again));
    expect(summary).toMatchObject({ created: 1, updated: 1, unchanged: 9, failed: 4 });
    expect(summary.failures).toMatchObject([
      { position: 10, sku: 'p9', message: 'product p9 is archived' },
      { position: 12, sku: 'bad sku', message: expect.stringContaining('sku') },
      { position: 13, sku: 'free', message: 'name must be set' },
      { position: 14, sku: 'a\u0000b', message: expect.stringContaining('sku') },
    ]);
    expect((await said()).filter((line) => line.startsWith('products.created'))).toHaveLength(451);
  });

  it('the same new products in two imports at once are created once', async () => {
    const all = Array.from({ length: 100 }, (_, i) => ({ product: { sku: `p${i}`, name: 'x', price } }));
    const summaries = await Promise.all([client.importProducts(rows(all)), client.importProducts(rows([...all].reverse()))]);
    expect(summaries.reduce((sum, { created }) => sum + created, 0)).toBe(100);
    expect(summaries.reduce((sum, { unchanged }) => sum + unchanged, 0)).toBe(100);
  });
});

it('events reach the stream in the order of the revisions', async () => {
  await create('streamed');
  await client.updateProduct({ product: { sku: 'streamed', name: 'y' }, updateMask: { paths: ['name'] } });
  await client.deleteProduct({ sku: 'streamed' });
  await service.drain();
  const connection = await nats.connect('setup');
  const { streams } = await jetstream(connection).jetstreamManager();
  const { state } = await streams.info('PRODUCTS');
  const subjects: string[] = [];
  for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) subjects.push((await streams.getMessage('PRODUCTS', { seq }))?.subject ?? '');
  await connection.close();
  expect(subjects.filter((subject) => subject.endsWith('.streamed'))).toEqual(['products.created.streamed', 'products.updated.streamed', 'products.archived.streamed']);
});

it('starts while its database is away, and says that it is not ready', async () => {
  const env = { PORT: '0', LOG_LEVEL: 'silent', MILLRACE_JWKS: keys.jwks, DATABASE_URL: 'postgresql://product@127.0.0.1:1/product', NATS_URL: nats.url('product'), MILLRACE_TOKEN: await keys.token('product', 'service') };
  const early = await startProduct(env, stop.signal);
  const answer = await fetch(`${early.url}/readyz`);
  expect([answer.status, await answer.json()]).toMatchObject([503, { ok: false, detail: { database: 'away' } }]);
  await early.stop();
});
