// What a caller gets for bad input, through the public port: the table of the contract.

import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { errorInfo } from '@millrace/chassis/api/errors';
import { InventoryService } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { OrderService, PlaceOrderRequestSchema } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientAt, startSystem, until, type Clients, type System } from '../support/system.ts';

let system: System;
let admin: Clients;
let buyer: Clients;
const id = randomUUID().slice(0, 8);
const MUG = `MUG-${id}`;
const YEN = `YEN-${id}`;
const OLD = `OLD-${id}`;
const FEW = `FEW-${id}`;

beforeAll(async () => {
  system = await startSystem();
  admin = system.as('admin');
  buyer = system.as('buyer');
  const create = (sku: string, currencyCode: string, initialStock: number) =>
    admin.products.createProduct({ product: { sku, name: sku, price: { currencyCode, minorUnits: 500n } }, initialStock });
  await create(MUG, 'EUR', 100);
  await create(YEN, 'JPY', 100);
  await create(OLD, 'EUR', 100);
  await create(FEW, 'EUR', 2);
  await admin.products.deleteProduct({ sku: OLD });
  await until(async () => (await admin.inventory.batchGetStock({ skus: [MUG, YEN, OLD, FEW] })).stockLevels.length === 4);
}, 120_000);
afterAll(async () => system[Symbol.asyncDispose](), 30_000);

const customer = { name: 'Ada', email: 'ada@example.com' };
const line = (sku: string, quantity = 1) => ({ sku, quantity });
const place = (lines: { sku: string; quantity: number }[], more: Omit<MessageInitShape<typeof PlaceOrderRequestSchema>, '$typeName' | 'lines'> = {}) =>
  buyer.orders.placeOrder({ requestId: randomUUID(), customer, lines, ...more });

async function refused(call: Promise<unknown>): Promise<{ code: string; reason: string | undefined; metadata: Record<string, string> }> {
  const error = await call.then(() => expect.fail('the call was answered'), (reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConnectError);
  const info = errorInfo(error);
  return { code: Code[(error as ConnectError).code] ?? '', reason: info?.reason, metadata: info?.metadata ?? {} };
}

/** A call as JSON by hand, for what no typed client would send. */
async function post(method: string, body: string | Uint8Array, headers: Record<string, string> = {}): Promise<{ status: number; code: string }> {
  const response = await fetch(`${system.runtime.edge}/${method}`, {
    method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${system.runtime.tokens.buyer}`, ...headers }, body: body as BodyInit,
  });
  return { status: response.status, code: ((await response.json()) as { code: string }).code };
}

const PLACE = 'millrace.order.v1.OrderService/PlaceOrder';

describe('PlaceOrder', () => {
  test.each([
    ['an unknown sku', () => place([line('NO-SUCH-SKU')]), 'InvalidArgument', 'UNKNOWN_SKU', { sku: 'NO-SUCH-SKU' }],
    ['an archived product', () => place([line(OLD)]), 'FailedPrecondition', 'PRODUCT_ARCHIVED', { sku: OLD }],
    ['more than there is', () => place([line(FEW, 3)]), 'FailedPrecondition', 'OUT_OF_STOCK', { sku: FEW, requested: '3', available: '2' }],
    ['the same sku twice, together more than there is', () => place([line(FEW, 2), line(FEW, 1)]), 'FailedPrecondition', 'OUT_OF_STOCK', { requested: '3' }],
    ['two currencies', () => place([line(MUG), line(YEN)]), 'InvalidArgument', 'MIXED_CURRENCIES', {}],
    ['another total than expected', () => place([line(MUG)], { expectedTotal: { currencyCode: 'EUR', minorUnits: 499n } }), 'FailedPrecondition', 'PRICE_CHANGED', {}],
    ['a total in another currency than expected', () => place([line(MUG)], { expectedTotal: { currencyCode: 'USD', minorUnits: 500n } }), 'FailedPrecondition', 'PRICE_CHANGED', {}],
    ['no quantity', () => place([line(MUG, 0)]), 'InvalidArgument', 'INVALID_FIELD', {}],
    ['a negative quantity', () => place([line(MUG, -1)]), 'InvalidArgument', 'INVALID_FIELD', {}],
    ['10,000 lines', () => place(Array.from({ length: 10_000 }, () => line(MUG))), 'InvalidArgument', 'INVALID_FIELD', {}],
    ['no lines', () => place([]), 'InvalidArgument', 'INVALID_FIELD', {}],
    ['no request id', () => place([line(MUG)], { requestId: '' }), 'InvalidArgument', 'INVALID_FIELD', {}],
    ['a request id of 65 characters', () => place([line(MUG)], { requestId: 'x'.repeat(65) }), 'InvalidArgument', 'INVALID_FIELD', {}],
    ['something that is no payment method', () => place([line(MUG)], { paymentMethod: '4242424242424242' }), 'InvalidArgument', 'INVALID_FIELD', {}],
    ['something that is no email address', () => place([line(MUG)], { customer: { email: 'nobody' } }), 'InvalidArgument', 'INVALID_FIELD', {}],
    ['another customer', () => place([line(MUG)], { customer: { ...customer, customerId: 'somebody-else' } }), 'PermissionDenied', 'PERMISSION_DENIED', {}],
  ])('refuses %s', async (_what, call, code, reason, metadata) => {
    expect(await refused(call())).toMatchObject({ code, reason, metadata });
  });

  test('a refused order holds nothing', async () => {
    await refused(place([line(MUG), line(FEW, 3)]));
    expect((await admin.inventory.getStock({ sku: MUG })).stockLevel).toMatchObject({ reserved: 0 });
  });

  test('the same request id with the same body answers the same order, with another body is refused', async () => {
    const requestId = randomUUID();
    const first = await place([line(MUG)], { requestId });
    const again = await place([line(MUG)], { requestId });
    expect(again.order?.orderId).toBe(first.order?.orderId);
    expect(await refused(place([line(MUG, 2)], { requestId }))).toMatchObject({ code: 'AlreadyExists', reason: 'REQUEST_ID_REUSED' });
  });

  test('a refused attempt does not burn its request id', async () => {
    const requestId = randomUUID();
    await refused(place([line('NO-SUCH-SKU')], { requestId }));
    expect((await place([line(MUG)], { requestId })).order?.orderId).toMatch(/^ord_/);
  });

  test.each([
    ['a quantity of 2^63', `{"requestId":"a","customer":{},"lines":[{"sku":"${MUG}","quantity":9223372036854775808}]}`],
    ['JSON that stops in the middle', '{"requestId":"a","lines":['],
    ['a list instead of an object', '[]'],
    ['an object instead of a string', '{"requestId":{}}'],
  ])('refuses %s as the caller\'s mistake', async (_what, body) => {
    expect(await post(PLACE, body)).toEqual({ status: 400, code: 'invalid_argument' });
  });

  test('refuses malformed protobuf as the caller\'s mistake', async () => {
    expect(await post(PLACE, new Uint8Array([0x0a, 0xff, 0xff, 0xff]), { 'content-type': 'application/proto' })).toEqual({ status: 400, code: 'invalid_argument' });
  });
});

describe('other RPCs', () => {
  test.each([
    ['a sku that is taken', () => admin.products.createProduct({ product: { sku: MUG, name: 'x', price: { currencyCode: 'EUR', minorUnits: 1n } } }), 'AlreadyExists', 'SKU_EXISTS'],
    ['a sku with a blank', () => admin.products.createProduct({ product: { sku: 'A B', name: 'x', price: { currencyCode: 'EUR', minorUnits: 1n } } }), 'InvalidArgument', 'INVALID_FIELD'],
    ['a mask with an unknown field', () => admin.products.updateProduct({ product: { sku: MUG }, updateMask: { paths: ['colour'] } }), 'InvalidArgument', 'INVALID_UPDATE_MASK'],
    ['a mask with the identity', () => admin.products.updateProduct({ product: { sku: MUG }, updateMask: { paths: ['sku'] } }), 'InvalidArgument', 'INVALID_UPDATE_MASK'],
    ['an old revision', () => admin.products.updateProduct({ product: { sku: MUG, name: 'y', revision: 99 }, updateMask: { paths: ['name'] } }), 'Aborted', 'REVISION_CONFLICT'],
    ['a product that is not there', () => admin.products.getProduct({ sku: 'NO-SUCH-SKU' }), 'NotFound', 'NOT_FOUND'],
    ['a page token from nowhere', () => admin.products.listProducts({ pageToken: 'bm9wZQ' }), 'InvalidArgument', 'INVALID_PAGE_TOKEN'],
    ['a page of 501', () => admin.products.listProducts({ pageSize: 501 }), 'InvalidArgument', 'INVALID_FIELD'],
    ['an order that is not there', () => buyer.orders.getOrder({ orderId: 'ord_none' }), 'NotFound', 'NOT_FOUND'],
    ['an adjustment by nothing', () => admin.inventory.adjustStock({ sku: MUG, delta: 0, requestId: 'r' }), 'InvalidArgument', 'INVALID_FIELD'],
    ['an adjustment without a request id', () => admin.inventory.adjustStock({ sku: MUG, delta: 1 }), 'InvalidArgument', 'INVALID_FIELD'],
    ['an adjustment below zero', () => admin.inventory.adjustStock({ sku: FEW, delta: -3, requestId: 'r' }), 'FailedPrecondition', 'STOCK_BELOW_RESERVED'],
    ['a buyer who creates products', () => buyer.products.createProduct({ product: { sku: 'X', name: 'x', price: { currencyCode: 'EUR', minorUnits: 1n } } }), 'PermissionDenied', 'PERMISSION_DENIED'],
    ['a buyer who adjusts stock', () => buyer.inventory.adjustStock({ sku: MUG, delta: 1, requestId: 'r' }), 'PermissionDenied', 'PERMISSION_DENIED'],
    ['an admin who calls what is for services', () => admin.inventory.reserveStockMany({ requests: [{ orderId: 'o', lines: [line(MUG)] }] }), 'PermissionDenied', 'PERMISSION_DENIED'],
  ])('refuse %s', async (_what, call, code, reason) => {
    expect(await refused(call())).toMatchObject({ code, reason });
  });

  test('a page token of one list is refused by another, and by the same with other filters', async () => {
    const { nextPageToken } = await admin.products.listProducts({ pageSize: 1 });
    expect(nextPageToken).not.toBe('');
    expect(await refused(admin.inventory.listStock({ pageToken: nextPageToken }))).toMatchObject({ reason: 'INVALID_PAGE_TOKEN' });
    expect(await refused(admin.products.listProducts({ query: 'mug', pageToken: nextPageToken }))).toMatchObject({ reason: 'INVALID_PAGE_TOKEN' });
  });

  test("somebody else's order is as little there as one that was never placed", async () => {
    const orderId = (await place([line(MUG)])).order?.orderId ?? '';
    const other = system.as('buyer2');
    const none = await refused(other.orders.getOrder({ orderId: 'ord_none' }));
    for (const call of ['getOrder', 'cancelOrder', 'getOrderTimeline'] as const) expect(await refused(other.orders[call]({ orderId }))).toEqual(none);
    expect((await other.orders.listOrders({})).orders).toEqual([]);
    expect((await admin.orders.getOrder({ orderId })).order?.orderId).toBe(orderId);
  });

  test('a step that the state does not allow is refused with the state', async () => {
    const orderId = (await place([line(MUG)])).order?.orderId ?? '';
    expect(await refused(admin.orders.fulfillOrder({ orderId }))).toMatchObject({
      code: 'FailedPrecondition', reason: 'ILLEGAL_TRANSITION', metadata: { state: 'ORDER_STATE_PENDING_PAYMENT' },
    });
    expect(await refused(admin.orders.refundOrder({ orderId, requestId: 'r' }))).toMatchObject({ reason: 'ILLEGAL_TRANSITION' });
  });
});

describe('without a right token', () => {
  test.each([
    ['none', ''],
    ['nonsense', 'Bearer nonsense'],
    ['another scheme', 'Basic YTpi'],
    ['an unsigned one', `Bearer ${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"x","role":"admin","iss":"millrace","exp":9999999999}').toString('base64url')}.`],
  ])('every call is UNAUTHENTICATED at edge and service: %s', async (_what, authorization) => {
    for (const base of [system.runtime.edge, system.runtime.services.order]) {
      const response = await fetch(`${base}/millrace.order.v1.OrderService/ListOrders`, {
        method: 'POST', headers: { 'content-type': 'application/json', ...(authorization && { authorization }) }, body: '{}',
      });
      expect({ status: response.status, code: ((await response.json()) as { code: string }).code }).toEqual({ status: 401, code: 'unauthenticated' });
    }
  });
});

describe('what is too much', () => {
  test('a message of 2 MiB is refused', async () => {
    const answer = await post(PLACE, JSON.stringify({ note: 'x'.repeat(2 * 1024 * 1024) })).catch(() => ({ status: 0, code: 'resource_exhausted' }));
    expect(answer.code).toBe('resource_exhausted');
  });

  test('an RPC that nobody serves is UNIMPLEMENTED or 404, not an internal error', async () => {
    expect((await post('millrace.order.v1.OrderService/NoSuchCall', '{}')).code).toBe('unimplemented');
  });
});

test('a provider’s webhook with a forged signature is refused', async () => {
  for (const path of ['stripe', 'postmark', 'twilio']) {
    const response = await fetch(`${system.runtime.edge}/webhooks/${path}`, {
      method: 'POST', headers: { 'stripe-signature': 't=1,v1=00', 'content-type': 'application/json' }, body: '{"id":"evt_1","type":"payment_intent.succeeded"}',
    });
    expect([400, 401, 403]).toContain(response.status);
  }
});

test('a client of the service itself gets the same answers as at the edge', async () => {
  const direct = clientAt(OrderService, system.runtime.services.order, system.runtime.tokens.buyer);
  expect(await refused(direct.getOrder({ orderId: 'ord_none' }))).toMatchObject({ code: 'NotFound', reason: 'NOT_FOUND' });
  const stock = clientAt(InventoryService, system.runtime.services.inventory, system.runtime.tokens.buyer);
  expect(await refused(stock.adjustStock({ sku: MUG, delta: 1, requestId: 'r' }))).toMatchObject({ code: 'PermissionDenied' });
});
