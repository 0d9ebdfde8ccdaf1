// What engineers hold in their hands: `buf curl` with reflection on every port, and the streams as the `nats` command shows them.

import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { promisify } from 'node:util';
import { connect } from '@nats-io/transport-node';
import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { natsLogin } from '../../local/src/nats.ts';
import { startSystem, until, type System } from '../support/system.ts';

const run = promisify(execFile);
const BUF = path.resolve(import.meta.dirname, '../../node_modules/.bin/buf');
const PROTOCOLS = [['grpc', '--http2-prior-knowledge'], ['grpcweb'], ['connect']];

let system: System;
beforeAll(async () => void (system = await startSystem()), 120_000);
afterAll(async () => system[Symbol.asyncDispose](), 30_000);

async function curl(base: string, [protocol, ...flags]: string[], method: string, body: object): Promise<unknown> {
  const bearer = `authorization: Bearer ${system.runtime.tokens.admin}`;
  const { stdout } = await run(BUF, ['curl', '--protocol', protocol ?? '', ...flags, '-H', bearer, '-d', JSON.stringify(body), `${base}/${method}`], { timeout: 30_000 });
  return JSON.parse(stdout);
}

const READS: Record<string, string> = {
  order: 'millrace.order.v1.OrderService/ListOrders',
  product: 'millrace.product.v1.ProductService/ListProducts',
  inventory: 'millrace.inventory.v1.InventoryService/ListStock',
  payment: 'millrace.payment.v1.PaymentService/ListPayments',
  notification: 'millrace.notification.v1.NotificationService/ListNotifications',
};

test.each(PROTOCOLS)('buf curl over %s reads every service at the edge and at its own port, by reflection alone', async (...protocol) => {
  for (const [service, method] of Object.entries(READS)) {
    for (const base of [system.runtime.edge, system.runtime.services[service as 'order']]) {
      expect(await curl(base, protocol.filter(Boolean), method, { pageSize: 1 })).toBeTypeOf('object');
    }
  }
  expect(await curl(system.runtime.services.order, protocol.filter(Boolean), 'grpc.health.v1.Health/Check', {})).toEqual({ status: 'SERVING' });
}, 120_000);

test('an order placed with buf curl can be followed in the streams by its id, as JSON', async () => {
  const sku = (await system.as('admin').products.listProducts({ pageSize: 1 })).products[0]?.sku;
  const body = { request_id: randomUUID(), customer: { email: 'eng@example.com' }, lines: [{ sku, quantity: 1 }], payment_method: 'pm_card_visa' };
  const placed = (await curl(system.runtime.edge, ['grpc', '--http2-prior-knowledge'], 'millrace.order.v1.OrderService/PlaceOrder', body)) as { order: { orderId: string } };
  const { orderId } = placed.order;

  const connection = await connect(natsLogin(system.runtime.nats));
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false });
    const last = (stream: string, subject: string) => manager.streams.getMessage(stream, { last_by_subj: subject });
    const confirmed = await until(() => last('ORDERS', `orders.confirmed.${orderId}`).catch(() => undefined));
    expect(confirmed.json()).toMatchObject({ orderId, total: { currencyCode: 'EUR' } });
    expect(confirmed.header.get('ce-type')).toBe('millrace.order.v1.OrderConfirmed');
    expect(confirmed.header.get('content-type')).toBe('application/json');
    const paid = await last('PAYMENTS', `payments.*.${orderId}`);
    expect(paid?.subject).toBe(`payments.succeeded.${orderId}`);
    expect(JSON.stringify(paid?.json())).not.toContain('_secret_');
  } finally {
    await connection.close();
  }
});
