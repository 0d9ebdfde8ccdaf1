// No statement of this service may grow dearer with the size of the catalogue: each is explained on tables of tens of thousands of rows.
import { createServiceClient } from '@millrace/chassis/clients/service-client';
import { openDatabase, plannedByValue } from '@millrace/chassis/database/db';
import { createLog } from '@millrace/chassis/telemetry/log';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { expect, test } from 'vitest';
import { enlarge, recordStatements, scansOf } from '../../../chassis/test/plans.ts';
import { createDatabase } from '../../../test/support/servers.ts';
import { testKeys } from '../../../test/support/tokens.ts';
import { startProduct } from './main.ts';
import { searchProducts } from './store.ts';

const TABLES = ['product', 'outbox', 'inbox', 'request_memory'];
/** Of ten products each. */
const COPIES = 2_000;

test('every statement finds its rows by an index', async () => {
  await using database = await createDatabase('product');
  const keys = await testKeys();
  const recorded = recordStatements();
  const env = { PORT: '0', LOG_LEVEL: 'silent', MILLRACE_JWKS: keys.jwks, DATABASE_URL: database.url, NATS_URL: 'nats://product:test@127.0.0.1:1', MILLRACE_TOKEN: await keys.token('product', 'service') };
  const service = await startProduct(env, new AbortController().signal);
  const client = createServiceClient(ProductService, { url: service.url, token: await keys.token('root', 'admin') });
  const skus = Array.from({ length: 10 }, (_, n) => `fill-p${n}`);
  const price = { currencyCode: 'EUR', minorUnits: 1_000n };
  for (const sku of skus.slice(2)) await client.createProduct({ product: { sku, name: `Name of ${sku}`, price }, requestId: `fill-${sku}` });
  await client.importProducts((async function* () { for (const sku of skus.slice(0, 3)) yield { product: { sku, name: 'Imported', price } }; })());
  await client.updateProduct({ product: { sku: 'fill-p4', name: 'new' }, updateMask: { paths: ['name'] } });
  await client.deleteProduct({ sku: 'fill-p5', requestId: 'fill-delete' });
  await client.getProduct({ sku: 'fill-p1' });
  await client.batchGetProducts({ skus });
  for (const filter of [{}, { query: 'name fill' }, { includeArchived: true }]) await client.listProducts({ ...filter, pageSize: 1, pageToken: (await client.listProducts({ ...filter, pageSize: 1 })).nextPageToken });
  await service.stop();
  recorded.stop();
  await enlarge(database.url, COPIES);
  const db = openDatabase(database.url, createLog('test', 'silent'));
  expect(recorded.statements.size).toBeGreaterThan(10);
  expect(await scansOf(db, recorded.statements, TABLES)).toEqual([]);
  // Which index finds a word depends on the word: one that nothing has is not looked for in all products.
  const searches = async () => Number((await db.pool.query<{ n: string }>("SELECT idx_scan AS n FROM pg_stat_user_indexes WHERE indexrelname = 'product_search'")).rows[0]?.n);
  const before = await searches();
  expect(await plannedByValue(db, (tx) => searchProducts(tx, ['nowhere'], { includeArchived: false, after: undefined, most: 51 }))).toEqual([]);
  await expect.poll(searches, { timeout: 30_000 }).toBeGreaterThan(before);
  await db.close();
}, 120_000);
