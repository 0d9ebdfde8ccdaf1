// The one-process form keeps the promises of the other one: the same journey, refusals and tools, on one port.

import { randomUUID } from 'node:crypto';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { errorInfo } from '@millrace/chassis/api/errors';
import { Health, HealthCheckResponse_ServingStatus as Status } from '@millrace/gen/grpc/health/v1/health_pb.js';
import { DeadLetterService } from '@millrace/gen/millrace/ops/v1/dead_letter_pb.js';
import { OrderState } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { Client as Postgres } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SERVICES, type Service } from '../../local/src/nats-permissions.ts';
import { isRunning, identify } from '../../local/src/processes.ts';
import { clientAt, startSystem, until, type Clients, type System } from '../support/system.ts';

let system: System;
let admin: Clients;
let buyer: Clients;

beforeAll(async () => {
  system = await startSystem({ args: ['--together'] });
  admin = system.as('admin');
  buyer = system.as('buyer');
}, 120_000);
afterAll(async () => system[Symbol.asyncDispose](), 30_000);

async function product(stock: number): Promise<string> {
  const sku = `T-${randomUUID().slice(0, 8)}`;
  await admin.products.createProduct({ product: { sku, name: `Test ${sku}`, price: { currencyCode: 'EUR', minorUnits: 1250n } }, initialStock: stock });
  await until(async () => (await admin.inventory.batchGetStock({ skus: [sku] })).stockLevels.length === 1);
  return sku;
}

const place = (lines: { sku: string; quantity: number }[], paymentMethod = 'pm_card_visa') =>
  buyer.orders.placeOrder({ requestId: randomUUID(), customer: { name: 'Ada', email: `ada-${randomUUID().slice(0, 8)}@example.com` }, lines, paymentMethod });

async function refusal(call: Promise<unknown>) {
  const error = await call.then(() => expect.fail('the call was answered'), (reason: unknown) => reason as ConnectError);
  return { code: error.code, ...errorInfo(error) };
}

async function mailKinds(orderId: string): Promise<string[]> {
  const mails = (await (await fetch(`${system.runtime.sandbox}/ledger/postmark`)).json()) as { order_id: string; kind: string }[];
  return mails.filter((mail) => mail.order_id === orderId).map(({ kind }) => kind).sort();
}

test('an order is priced, held, paid, sold and told', async () => {
  const sku = await product(10);
  const { order } = await place([{ sku, quantity: 3 }]);
  expect(order).toMatchObject({ state: OrderState.PENDING_PAYMENT, total: { currencyCode: 'EUR', minorUnits: 3750n }, lines: [{ sku, name: `Test ${sku}` }] });
  const orderId = order?.orderId ?? '';
  await until(async () => (await buyer.orders.getOrder({ orderId })).order?.state === OrderState.CONFIRMED);
  await until(async () => (await mailKinds(orderId)).length >= 2);
  expect(await mailKinds(orderId)).toEqual(['order_confirmation', 'payment_confirmation']);
  const { stockLevel } = await until(async () => {
    const answer = await admin.inventory.getStock({ sku });
    return answer.stockLevel?.onHand === 7 ? answer : undefined;
  });
  expect(stockLevel).toMatchObject({ onHand: 7, reserved: 0, available: 7 });
  const { movements } = await admin.inventory.listMovements({ orderId });
  expect(movements.map(({ actor }) => actor).sort()).toEqual(['inventory', 'order']);
});

test('a refusal of a neighbour has the reason and metadata that it has apart', async () => {
  const [few, old] = [await product(2), await product(1)];
  await admin.products.deleteProduct({ sku: old });
  const outOfStock = { code: Code.FailedPrecondition, reason: 'OUT_OF_STOCK', metadata: { sku: few, requested: '3', available: '2' } };
  expect(await refusal(place([{ sku: few, quantity: 3 }]))).toEqual(outOfStock);
  expect(await refusal(place([{ sku: few, quantity: 2 }, { sku: few, quantity: 1 }]))).toEqual(outOfStock);
  expect(await refusal(place([{ sku: old, quantity: 1 }]))).toMatchObject({ code: Code.FailedPrecondition, reason: 'PRODUCT_ARCHIVED', metadata: { sku: old } });
  expect(await refusal(place([{ sku: 'NO-SUCH-SKU', quantity: 1 }]))).toMatchObject({ code: Code.InvalidArgument, reason: 'UNKNOWN_SKU' });
});

test('of thirty buyers at once for ten units ten get one', async () => {
  const sku = await product(10);
  const outcomes = await Promise.allSettled(Array.from({ length: 30 }, () => place([{ sku, quantity: 1 }], '')));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
  const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [errorInfo(outcome.reason)?.reason] : []));
  expect(new Set(refused)).toEqual(new Set(['OUT_OF_STOCK']));
});

test('all services are one process on one port, which says of each that it is ready', async () => {
  const { services, pids } = system.runtime;
  expect(new Set(Object.values(services))).toEqual(new Set([services.order]));
  expect(new Set(SERVICES.map((service) => pids[service]))).toEqual(new Set([pids['together']]));
  const ready = (await (await fetch(`${services.order}/readyz`)).json()) as { ok: boolean; detail: Record<string, string> };
  expect(ready.ok).toBe(true);
  for (const service of SERVICES) expect(ready.detail).toMatchObject({ [`${service} database`]: 'connected', [`${service} broker`]: 'connected' });
  const health = createClient(Health, createConnectTransport({ baseUrl: services.order, httpVersion: '2' }));
  for (const service of SERVICES) {
    const typeName = `millrace.${service}.v1.${service[0]?.toUpperCase()}${service.slice(1)}Service`;
    expect((await health.check({ service: typeName })).status).toBe(Status.SERVING);
  }
});

test.each(['edge', 'own port'] as const)('each service lists its own dead letters at the %s', async (where) => {
  const { edge, services, tokens } = system.runtime;
  const client = clientAt(DeadLetterService, where === 'edge' ? edge : services.order, tokens.admin);
  for (const service of SERVICES) {
    const deadLetterId = await bury(service);
    const { deadLetters } = await client.listDeadLetters({}, { headers: { 'millrace-service': service } });
    expect(deadLetters.map((letter) => [letter.service, letter.deadLetterId])).toContainEqual([service, deadLetterId]);
    await client.discardDeadLetter({ deadLetterId, reason: 'only a test', requestId: randomUUID() }, { headers: { 'millrace-service': service } });
  }
  expect(await refusal(client.listDeadLetters({}))).toMatchObject({ code: Code.InvalidArgument, reason: 'INVALID_FIELD', metadata: { choices: SERVICES.join(',') } });
});

/** A dead letter as a consumer would leave it. */
async function bury(service: Service): Promise<string> {
  const postgres = new Postgres({ connectionString: system.runtime.postgres[service] });
  await postgres.connect();
  try {
    const deadLetterId = randomUUID();
    await postgres.query(
      `INSERT INTO dead_letter (dead_letter_id, stream, subject, stream_sequence, event_id, event_type, deliveries, cause, stack, headers, body)
       VALUES ($1, 'TEST', 'test.sent.1', floor(random() * 1e9), '', '', 1, 'unreadable', '', '{}', '')`, [deadLetterId]);
    return deadLetterId;
  } finally {
    await postgres.end();
  }
}

test('a stop in the middle of the work ends in time, and the next start finishes it', async () => {
  const sku = await product(100);
  const placed = await Promise.all(Array.from({ length: 20 }, () => place([{ sku, quantity: 1 }])));
  const { pids } = system.runtime;
  const process = identify(pids['together'] ?? 0);
  if (process === undefined) throw new Error('there is no such process');
  expect(await system.stop()).toBeLessThan(5_000);
  expect(isRunning(process)).toBe(false);

  system = await startSystem({ args: ['--together'], home: system.home });
  [admin, buyer] = [system.as('admin'), system.as('buyer')];
  for (const { order } of placed) {
    const orderId = order?.orderId ?? '';
    await until(async () => (await buyer.orders.getOrder({ orderId })).order?.state === OrderState.CONFIRMED);
    await until(async () => (await mailKinds(orderId)).length >= 2);
    expect(await mailKinds(orderId)).toEqual(['order_confirmation', 'payment_confirmation']);
  }
  expect((await admin.inventory.getStock({ sku })).stockLevel).toMatchObject({ onHand: 80, reserved: 0 });
}, 120_000);
