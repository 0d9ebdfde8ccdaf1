// No statement of this service may grow dearer with the number of orders: each is explained on tables of tens of thousands of rows.
import { createServiceClient } from '@millrace/chassis/clients/service-client';
import { InventoryService } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { OrderCancelledSchema, OrderRefundRequestedSchema } from '@millrace/gen/millrace/order/v1/events_pb.js';
import { PaymentSucceededSchema } from '@millrace/gen/millrace/payment/v1/events_pb.js';
import { ProductArchivedSchema, ProductUpdatedSchema } from '@millrace/gen/millrace/product/v1/events_pb.js';
import { expect, test } from 'vitest';
import { enlarge, recordStatements, scansOf } from '../../../chassis/test/plans.ts';
import { testKeys } from '../../../test/support/tokens.ts';
import { created, heard, openInventory } from '../test/inventory.ts';
import { startInventory } from './main.ts';

const TABLES = ['stock', 'reservation', 'movement', 'outbox', 'inbox', 'request_memory'];
/** Of ten skus and ten reservations each. */
const COPIES = 2_000;

test('every statement finds its rows by an index', async () => {
  await using inventory = await openInventory();
  const keys = await testKeys();
  const recorded = recordStatements();
  const env = { PORT: '0', LOG_LEVEL: 'silent', MILLRACE_JWKS: keys.jwks, DATABASE_URL: inventory.url, NATS_URL: 'nats://inventory:test@127.0.0.1:1', MILLRACE_TOKEN: await keys.token('inventory', 'service') };
  const service = await startInventory(env, new AbortController().signal);
  const as = async (role: 'admin' | 'service') => createServiceClient(InventoryService, { url: service.url, token: await keys.token(role, role) });
  const [client, orders] = [await as('admin'), await as('service')];
  const skus = Array.from({ length: 10 }, (_, n) => `fill-s${n}`);
  await inventory.hear(...skus.map((sku) => created(sku, 100, 99)));
  for (const [n, sku] of skus.entries()) await orders.reserveStock({ orderId: `fill-o${n}`, lines: [{ sku, quantity: 2 }] });
  await orders.reserveStockMany({ requests: [{ orderId: 'fill-o10', lines: skus.map((sku) => ({ sku, quantity: 1 })) }] });
  await inventory.hear(heard(PaymentSucceededSchema, { orderId: 'fill-o1', version: 2 }), heard(PaymentSucceededSchema, { orderId: 'fill-o2', version: 2 }));
  await inventory.hear(heard(OrderCancelledSchema, { orderId: 'fill-o2', version: 3 }), heard(OrderCancelledSchema, { orderId: 'fill-o3', version: 2 }));
  await inventory.hear(heard(OrderRefundRequestedSchema, { orderId: 'fill-o1', version: 3, refundId: 'fill-r1', restockLines: [{ sku: 'fill-s1', quantity: 1 }] }));
  await inventory.hear(heard(ProductUpdatedSchema, { sku: 'fill-s8', version: 2, name: 'new' }), heard(ProductArchivedSchema, { sku: 'fill-s9', version: 2 }));
  await orders.releaseStock({ orderId: 'fill-o4', requestId: 'fill-release' });
  await client.adjustStock({ sku: 'fill-s5', delta: 3, reason: 'found', requestId: 'fill-adjust' });
  await client.setStockPolicy({ sku: 'fill-s5', lowStockThreshold: 1, requestId: 'fill-policy' });
  await client.getStock({ sku: 'fill-s1' });
  await client.batchGetStock({ skus });
  await client.getReservation({ orderId: 'fill-o1' });
  for (const lowOnly of [false, true]) await client.listStock({ lowOnly, pageSize: 2, pageToken: (await client.listStock({ lowOnly, pageSize: 2 })).nextPageToken });
  for (const filter of [{}, { sku: 'fill-s1' }, { orderId: 'fill-o1' }]) await client.listMovements({ ...filter, pageSize: 1, pageToken: (await client.listMovements({ ...filter, pageSize: 1 })).nextPageToken });
  await inventory.expiry.tick();
  await service.stop();
  recorded.stop();
  await enlarge(inventory.url, COPIES);
  expect(recorded.statements.size).toBeGreaterThan(20);
  expect(await scansOf(inventory.db, recorded.statements, TABLES)).toEqual([]);
}, 120_000);
