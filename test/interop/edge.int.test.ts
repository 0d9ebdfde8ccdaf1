// What the edge itself decides: who may enter, who answers, and what happens when a service is away.
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { errorInfo, retryAfter } from '@millrace/chassis/api/errors';
import { Health, HealthCheckResponse_ServingStatus as Status } from '@millrace/gen/grpc/health/v1/health_pb.js';
import { DeadLetterService } from '@millrace/gen/millrace/ops/v1/dead_letter_pb.js';
import { OrderService } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type House, openHouse, until } from './stubs.ts';
import { framed, request } from './wire.ts';

let house: House;
beforeAll(async () => { house = await openHouse({ env: { EDGE_CORS_ORIGINS: 'https://shop.example' } }); });
afterAll(async () => { await house[Symbol.asyncDispose](); });
beforeEach(() => { house.seen.length = 0; });

const signedIn = () => ({ authorization: `Bearer ${house.token}` });
const transports = {
  Connect: (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: '2' }),
  gRPC: (baseUrl: string) => createGrpcTransport({ baseUrl }),
  'gRPC-Web': (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: '1.1' }),
};
const GET_PRODUCT = '/millrace.product.v1.ProductService/GetProduct';

describe('what travels on', () => {
  test('the token, a request id and a trace do; what only we may say does not', async () => {
    const headers = { ...signedIn(), 'x-millrace-subject': 'root', 'x-forwarded-for': '1.2.3.4', 'x-custom': 'kept', cookie: 'a=b' };
    await createClient(ProductService, transports.Connect(house.url)).getProduct({ sku: 'mug' }, { headers });
    const seen = Object.fromEntries(house.seen[0]?.headers ?? []);
    expect(seen).toMatchObject({ authorization: headers.authorization, 'x-custom': 'kept', 'x-request-id': expect.stringMatching(/^[0-9a-f]{32}$/) as string, traceparent: expect.stringMatching(/^00-/) as string });
    expect(Object.keys(seen).filter((name) => name.startsWith('x-millrace') || name.startsWith('x-forwarded'))).toEqual([]);
  });

  test("the caller's own request id and trace are kept", async () => {
    const headers = { ...signedIn(), 'x-request-id': 'mine-1', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
    const answer = await fetch(`${house.url}${GET_PRODUCT}`, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: '{"sku":"mug"}' });
    expect(answer.headers.get('x-request-id')).toBe('mine-1');
    expect(house.seen[0]?.headers.get('traceparent')).toBe(headers.traceparent);
  });
});

describe.each(Object.entries(transports))('%s: dead letters, which every service has', (_, make) => {
  test('the header names the service, and travels on to it', async () => {
    const answer = await createClient(DeadLetterService, make(house.url)).listDeadLetters({}, { headers: { ...signedIn(), 'millrace-service': 'product' } });
    expect(answer.deadLetters[0]?.service).toBe('product');
    expect(house.seen[0]?.headers.get('millrace-service')).toBe('product');
  });

  test.each([{}, { 'millrace-service': 'nobody' }, { 'millrace-service': 'constructor' }])('with %o it says which there are', async (headers) => {
    const error = await failure(createClient(DeadLetterService, make(house.url)).listDeadLetters({}, { headers: { ...signedIn(), ...headers } as Record<string, string> }));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(errorInfo(error)?.metadata['choices']).toBe('order,product,inventory,payment,notification');
  });
});

describe('a service that is away', () => {
  test.each(Object.entries(transports))('is UNAVAILABLE in %s, and the others go on', async (_, make) => {
    await house.stopOrder();
    try {
      const error = await failure(createClient(OrderService, make(house.url)).getOrder({ orderId: 'ord_1' }, { headers: signedIn() }));
      expect([error.code, errorInfo(error)]).toEqual([Code.Unavailable, { reason: 'DEPENDENCY_UNAVAILABLE', metadata: { service: 'order' } }]);
      expect(retryAfter(error)).toBeGreaterThan(0);
      const stream = await failure(drain(createClient(OrderService, make(house.url)).watchOrder({ orderId: 'ord_1' }, { headers: signedIn() })));
      expect([stream.code, errorInfo(stream)?.reason]).toEqual([Code.Unavailable, 'DEPENDENCY_UNAVAILABLE']);
      expect((await createClient(ProductService, make(house.url)).getProduct({ sku: 'mug' }, { headers: signedIn() })).product?.sku).toBe('mug');
      expect((await fetch(`${house.url}/readyz`)).status).toBe(503);
    } finally {
      await house.startOrder();
    }
    await until(async () => (await fetch(`${house.url}/readyz`)).status === 200, 'the edge is ready again');
    expect((await createClient(OrderService, make(house.url)).getOrder({ orderId: 'ord_1' }, { headers: signedIn() })).order?.orderId).toBe('ord_1');
  });

  test.each(Object.entries(transports))('ends an open %s stream with UNAVAILABLE', async (_, make) => {
    const stream = createClient(OrderService, make(house.url)).watchOrder({ orderId: 'ord_1' }, { headers: signedIn() });
    let stopped: Promise<void> | undefined;
    const error = await failure((async () => { for await (const { order } of stream) if (order) stopped = house.stopOrder(); })());
    await stopped;
    await house.startOrder();
    expect(error.code).toBe(Code.Unavailable);
    await until(async () => (await fetch(`${house.url}/readyz`)).status === 200, 'the edge is ready again');
  });

  test('for a moment, being restarted, is waited for, and later ones fail at once', async () => {
    const client = createClient(OrderService, transports.Connect(house.url));
    const call = () => client.getOrder({ orderId: 'ord_1' }, { headers: signedIn() });
    await house.stopOrder();
    const calls = Array.from({ length: 50 }, call);
    await new Promise((resolve) => setTimeout(resolve, 700));
    await house.startOrder();
    expect((await Promise.allSettled(calls)).map(({ status }) => status)).toEqual(calls.map(() => 'fulfilled'));

    await house.stopOrder();
    await failure(call());
    const started = performance.now();
    await failure(call());
    expect(performance.now() - started).toBeLessThan(1_000);
    await house.startOrder();
    await until(async () => (await fetch(`${house.url}/readyz`)).status === 200, 'the edge is ready again');
  });

  test('health says so, service by service', async () => {
    const health = createClient(Health, transports.gRPC(house.url));
    await until(async () => (await health.check({})).status === Status.SERVING, 'all are serving');
    await house.stopOrder();
    await until(async () => (await health.check({ service: OrderService.typeName })).status === Status.NOT_SERVING, 'order is not serving');
    expect((await health.check({ service: ProductService.typeName })).status).toBe(Status.SERVING);
    expect((await health.check({})).status).toBe(Status.NOT_SERVING);
    await house.startOrder();
    await until(async () => (await health.check({})).status === Status.SERVING, 'all are serving');
  });
});

describe('paths and methods', () => {
  test.each(Object.entries(transports))('an unknown service is unimplemented in %s', async (_, make) => {
    const unknown = { ...ProductService, typeName: 'millrace.shop.v1.ShopService' } as typeof ProductService;
    const error = await failure(createClient({ ...unknown, method: { ...unknown.method } }, make(`${house.url}/nowhere`)).getProduct({}, { headers: signedIn() }));
    expect(error.code).toBe(Code.Unimplemented);
  });

  test.each([
    ['GET', '/', undefined, 200],
    ['GET', '/nothing', undefined, 404],
    ['GET', '/constructor', undefined, 404],
    ['GET', GET_PRODUCT, undefined, 400],
    ['PUT', GET_PRODUCT, 'application/json', 405],
    ['POST', GET_PRODUCT, 'text/plain', 415],
    ['GET', '/millrace.product.v1.ProductService/CreateProduct?encoding=json&message={}', undefined, 405],
    ['GET', '/healthz', undefined, 200],
    ['GET', '/metrics', undefined, 200],
  ])('%s %s (%s) is %i', async (method, path, type, status) => {
    const answer = await fetch(house.url + path, { method, headers: { ...(type && { 'content-type': type }) }, ...(method === 'GET' ? {} : { body: '{}' }) });
    expect(answer.status).toBe(status);
  });

  test('the landing page shows the way and runs nothing', async () => {
    const answer = await fetch(house.url);
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await answer.text()).toContain('millrace.order.v1.OrderService');
  });

  test('the metrics count by what became of a request', async () => {
    await createClient(ProductService, transports.gRPC(house.url)).getProduct({ sku: 'mug' }, { headers: signedIn() });
    await until(async () => /millrace_edge_requests_total\{[^}]*GetProduct",outcome="ok"[^}]*\} \d/.test(await (await fetch(`${house.url}/metrics`)).text()), 'the call is counted');
    expect(await (await fetch(`${house.url}/metrics`)).text()).toContain('millrace_edge_order_calls_in_flight');
  });
});

describe('webhooks', () => {
  const body = Buffer.from([0x7b, 0xff, 0x00, 0x0d, 0x0a, 0x7d]);
  const post = (path: string, headers: Record<string, string>, bytes: Uint8Array = body) => fetch(house.url + path, { method: 'POST', headers, body: new Uint8Array(bytes) });

  test('reach the service with every byte, header and parameter as sent, without a token', async () => {
    const answer = await post('/webhooks/stripe?try=2', { 'stripe-signature': 'good', 'content-type': 'application/json' });
    expect([answer.status, await answer.text()]).toEqual([200, 'seen']);
    const [seen] = house.seen;
    expect(Buffer.from(seen?.body ?? []).equals(body)).toBe(true);
    expect([seen?.url, seen?.headers.get('stripe-signature'), seen?.headers.get('content-type')]).toEqual(['/webhooks/stripe?try=2', 'good', 'application/json']);
  });

  test("bring the service's refusal back", async () => {
    expect((await post('/webhooks/stripe', { 'stripe-signature': 'bad' })).status).toBe(400);
  });

  test('larger than 1 MiB are refused', async () => {
    expect((await post('/webhooks/stripe', {}, Buffer.alloc(1_100_000))).status).toBe(413);
    expect(house.seen).toEqual([]);
  });

  test('are sent with POST', async () => {
    expect((await fetch(`${house.url}/webhooks/postmark`)).status).toBe(405);
  });
});

describe('browsers of other origins', () => {
  const preflight = (origin: string) => fetch(house.url + GET_PRODUCT, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,connect-protocol-version,content-type,millrace-service' } });

  test('that are allowed get leave, and keep it for hours', async () => {
    const answer = await preflight('https://shop.example');
    expect(answer.status).toBe(204);
    expect(answer.headers.get('access-control-allow-origin')).toBe('https://shop.example');
    expect(answer.headers.get('access-control-allow-headers')?.toLowerCase()).toMatch(/connect-protocol-version.*x-grpc-web.*authorization.*millrace-service/);
    expect(Number(answer.headers.get('access-control-max-age'))).toBeGreaterThan(3_600);
    expect(answer.headers.get('vary')).toBe('Origin');
  });

  test('can read what they need of an answer, errors included', async () => {
    const answer = await fetch(house.url + GET_PRODUCT, { method: 'POST', headers: { origin: 'https://shop.example', 'content-type': 'application/json' }, body: '{}' });
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([401, 'https://shop.example']);
    expect(answer.headers.get('access-control-expose-headers')?.toLowerCase()).toMatch(/grpc-status.*grpc-message.*x-request-id/);
  });

  test.each(['https://evil.example', 'https://shop.example.evil', 'null'])('%s gets none', async (origin) => {
    const answer = await preflight(origin);
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([403, null]);
  });
});

test('a gRPC refusal is headers only, as its clients want it', async () => {
  const answer = await request(house.url, { ':path': GET_PRODUCT, 'content-type': 'application/grpc+proto', te: 'trailers' }, framed(''));
  expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/grpc+proto', 'grpc-status': '16' }, trailers: {} });
  expect(answer.body).toHaveLength(0);
});

describe('more than a subject may', () => {
  test('is RESOURCE_EXHAUSTED with a pause, and the next subject is not concerned', async () => {
    await using small = await openHouse({ env: { EDGE_RATE_LIMIT: '3' } });
    const as = async (subject: string) => ({ authorization: `Bearer ${await small.keys.token(subject, 'buyer')}` });
    const client = createClient(ProductService, transports.Connect(small.url));
    const ann = await as('ann');
    const calls = await Promise.allSettled(Array.from({ length: 10 }, () => client.getProduct({ sku: 'mug' }, { headers: ann })));
    const refused = calls.flatMap((call) => (call.status === 'rejected' ? [ConnectError.from(call.reason)] : []));
    expect(refused.length).toBeGreaterThanOrEqual(6);
    expect(refused.map((error) => [error.code, errorInfo(error)?.reason])).toEqual(refused.map(() => [Code.ResourceExhausted, 'RATE_LIMITED']));
    expect(retryAfter(refused[0])).toBeGreaterThan(0);
    expect((await client.getProduct({ sku: 'mug' }, { headers: await as('bob') })).product?.sku).toBe('mug');
  });
});

test('a stopping edge ends its streams at once, with leave to come again, and answers what it has', async () => {
  const other = await openHouse();
  const headers = { authorization: `Bearer ${other.token}` };
  const stream = createClient(OrderService, transports.Connect(other.url)).watchOrder({ orderId: 'ord_1' }, { headers });
  let stopped: Promise<void> | undefined;
  const error = await failure((async () => { for await (const { order } of stream) if (order) stopped = other.edge.stop(); })());
  expect([error.code, errorInfo(error)?.reason]).toEqual([Code.Unavailable, 'OVERLOADED']);
  await stopped;
  await other[Symbol.asyncDispose]();
});

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

async function failure(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error('the call did not fail');
}
