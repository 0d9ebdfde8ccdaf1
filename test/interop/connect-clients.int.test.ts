// Every official Connect client, in every protocol and HTTP version, through the edge.
import { Code, ConnectError, type Transport, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import * as web from '@connectrpc/connect-web';
import { errorInfo, retryAfter } from '@millrace/chassis/api/errors';
import { InventoryService } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { OrderService } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type House, SKU, openHouse, until } from './stubs.ts';

let house: House;
beforeAll(async () => { house = await openHouse(); });
afterAll(async () => { await house[Symbol.asyncDispose](); });

type Kind = { name: string; make: (baseUrl: string) => Transport; clientStreams: boolean };
const signIn = (next: (request: never) => unknown) => (request: { header: Headers }) => {
  request.header.set('authorization', `Bearer ${house.token}`);
  return next(request as never);
};
const common = { interceptors: [signIn as never], useBinaryFormat: true };

const KINDS: Kind[] = (['1.1', '2'] as const).flatMap((httpVersion) => [
  { name: `Connect over HTTP/${httpVersion}`, make: (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion, ...common }), clientStreams: true },
  { name: `Connect JSON over HTTP/${httpVersion}`, make: (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion, ...common, useBinaryFormat: false }), clientStreams: true },
  { name: `Connect GET over HTTP/${httpVersion}`, make: (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion, ...common, useHttpGet: true }), clientStreams: true },
  { name: `gRPC over HTTP/${httpVersion}`, make: (baseUrl: string) => createGrpcTransport({ baseUrl, httpVersion, ...common } as never), clientStreams: true },
  { name: `gRPC-Web over HTTP/${httpVersion}`, make: (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion, ...common }), clientStreams: true },
]);
KINDS.push(
  { name: 'connect-web, Connect', make: (baseUrl) => web.createConnectTransport({ baseUrl, ...common }), clientStreams: false },
  { name: 'connect-web, gRPC-Web', make: (baseUrl) => web.createGrpcWebTransport({ baseUrl, ...common }), clientStreams: false },
);

describe.each(KINDS)('$name', ({ make }) => {
  let transport: Transport;
  beforeAll(() => { transport = make(house.url); });

  test('a unary call brings its answer, its headers and its trailers', async () => {
    const got: Record<string, string | null> = {};
    const answer = await createClient(ProductService, transport).getProduct({ sku: 'mug' }, {
      onHeader: (headers) => { got['header'] = headers.get('x-stub'); got['id'] = headers.get('x-request-id'); },
      onTrailer: (trailers) => { got['trailer'] = trailers.get('x-stub-trailer'); },
    });
    expect(answer.product?.price?.minorUnits).toBe(1999n);
    expect(got).toEqual({ header: 'header', id: expect.stringMatching(/^[0-9a-f]{32}$/) as string, trailer: 'trailer' });
  });

  test("a service's error arrives with code, reason, metadata and pause", async () => {
    const error = await failure(createClient(ProductService, transport).getProduct({ sku: SKU.unknown }));
    expect([error.code, error.rawMessage]).toEqual([Code.NotFound, 'there is no such product']);
    expect(errorInfo(error)).toEqual({ reason: 'NOT_FOUND', metadata: { sku: SKU.unknown } });
    expect(retryAfter(error)).toBe(1_500);
  });

  test('an RPC that nobody serves is unimplemented', async () => {
    const error = await failure(createClient(ProductService, transport).createProduct({ product: { sku: 'mug', name: 'A mug', price: { currencyCode: 'EUR' } } }));
    expect(error.code).toBe(Code.Unimplemented);
  });

  test('a wrong token is refused, on unary calls and streams', async () => {
    const { token } = house;
    house.token = 'a.b.c';
    const errors = await Promise.all([
      failure(createClient(ProductService, make(house.url)).getProduct({ sku: 'mug' })),
      failure(readAll(createClient(InventoryService, make(house.url)).watchStock({ skus: ['mug'] }))),
    ]).finally(() => { house.token = token; });
    for (const error of errors) expect([error.code, errorInfo(error)?.reason]).toEqual([Code.Unauthenticated, 'UNAUTHENTICATED']);
  });

  test('a server stream brings every message and its trailers', async () => {
    let trailer: string | null = null;
    const skus = Array.from({ length: 50 }, (_, i) => `sku-${i}`);
    const got: string[] = [];
    for await (const { stockLevel } of createClient(InventoryService, transport).watchStock({ skus }, { onTrailer: (trailers) => { trailer = trailers.get('x-stub-trailer'); } })) got.push(stockLevel?.sku ?? '');
    expect(got).toEqual(skus);
    expect(trailer).toBe('trailer');
  });

  test('an error after the first messages of a stream arrives with its details', async () => {
    const got: string[] = [];
    const error = await failure((async () => {
      for await (const { stockLevel } of createClient(InventoryService, transport).watchStock({ skus: ['mug', SKU.failsLater] })) got.push(stockLevel?.sku ?? '');
    })());
    expect(got).toEqual(['mug', SKU.failsLater]);
    expect(errorInfo(error)).toEqual({ reason: 'OUT_OF_STOCK', metadata: { sku: SKU.failsLater, requested: '2', available: '1' } });
  });

  test('a cancelled stream ends at the service too', async () => {
    house.ended.length = 0;
    const gone = new AbortController();
    const error = await failure((async () => {
      for await (const { stockLevel } of createClient(InventoryService, transport).watchStock({ skus: [SKU.slow] }, { signal: gone.signal })) if (stockLevel) gone.abort();
    })());
    expect(error.code).toBe(Code.Canceled);
    await until(() => house.ended.includes('watch'), 'the service saw the end');
  });

  test('a cancelled unary call ends at the service too', async () => {
    house.ended.length = 0;
    house.seen.length = 0;
    const gone = new AbortController();
    const call = failure(createClient(ProductService, transport).getProduct({ sku: SKU.slow }, { signal: gone.signal }));
    await until(() => house.seen.length > 0, 'the service saw the call');
    gone.abort();
    expect((await call).code).toBe(Code.Canceled);
    await until(() => house.ended.includes('slow'), 'the service saw the end');
  });

  test('a deadline is kept and the service hears of it', async () => {
    house.seen.length = 0;
    const error = await failure(createClient(ProductService, transport).getProduct({ sku: SKU.slow }, { timeoutMs: 200 }));
    expect(error.code).toBe(Code.DeadlineExceeded);
    const { headers } = house.seen[0] ?? { headers: new Headers() };
    expect(headers.get('connect-timeout-ms') ?? headers.get('grpc-timeout')).toMatch(/^200m?$/);
  });

  test('calls to different services share one way in', async () => {
    const orders = await Promise.all(Array.from({ length: 100 }, (_, i) => createClient(OrderService, transport).getOrder({ orderId: `ord_${i}` })));
    expect(orders.map(({ order }) => order?.orderId)).toEqual(Array.from({ length: 100 }, (_, i) => `ord_${i}`));
  });
});

describe.each(KINDS.filter(({ clientStreams }) => clientStreams))('$name', ({ make }) => {
  test('a client stream is counted to its last message', async () => {
    const answer = await createClient(ProductService, make(house.url)).importProducts(products(2_000));
    expect(answer.created).toBe(2_000);
  });

  test('a client stream that is refused in the middle brings the refusal', async () => {
    const error = await failure(createClient(ProductService, make(house.url)).importProducts(products(20, SKU.unknown)));
    expect(errorInfo(error)).toEqual({ reason: 'INVALID_FIELD', metadata: { sku: SKU.unknown } });
  });
});

async function* products(count: number, last?: string) {
  for (let i = 0; i < count; i += 1) yield { product: { sku: `sku-${i}`, name: 'A mug', description: 'd'.repeat(500) } };
  if (last) yield { product: { sku: last, name: 'A mug' } };
}

async function readAll<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
}

async function failure(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error('the call did not fail');
}
