// Input that nobody sends by accident. Nothing may end the process, keep others out, or be answered as our own fault.
import http2 from 'node:http2';
import net from 'node:net';
import { gzipSync } from 'node:zlib';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { CHANNEL_PATH, CHANNEL_TYPE } from '@millrace/chassis/server/channel';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type House, SKU, openHouse, until } from './stubs.ts';
import { answerOf, framed, raw, request } from './wire.ts';

const GET_PRODUCT = '/millrace.product.v1.ProductService/GetProduct';
const IMPORT = '/millrace.product.v1.ProductService/ImportProducts';

let house: House;
const stray = vi.fn<(error: unknown) => void>();
beforeAll(async () => {
  process.on('uncaughtException', stray);
  process.on('unhandledRejection', stray);
  house = await openHouse();
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  process.off('uncaughtException', stray);
  process.off('unhandledRejection', stray);
});
// After every one of these, good traffic is served.
afterEach(async () => {
  const transport = createConnectTransport({ baseUrl: house.url, httpVersion: '2' });
  const answer = await createClient(ProductService, transport).getProduct({ sku: 'mug' }, { headers: { authorization: `Bearer ${house.token}` }, timeoutMs: 5_000 });
  if (answer.product?.sku !== 'mug' || stray.mock.calls.length > 0) throw new Error(`good traffic is not served, or ${stray.mock.calls.length} errors were not caught`, { cause: stray.mock.calls[0] });
});

const signedIn = () => ({ authorization: `Bearer ${house.token}` });
const HEAD = `POST ${GET_PRODUCT} HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 2\r\n`;

test.each([
  ['no Host', ''],
  ['an empty Host', 'host:\r\n'],
  ['a Host that is none', 'host: ///\r\n'],
  ['a Host with spaces', 'host: a b\r\n'],
])('HTTP/1.1 with %s is refused', async (_, host) => {
  expect(await raw(house.url, `${HEAD}${host}connection: close\r\n\r\n{}`)).toMatch(/^HTTP\/1\.1 400 /);
});

test.each(['', 'a b', '///', '%%%'])('HTTP/2 with the authority "%s" is refused', async (authority) => {
  // Most of these end at the HTTP/2 layer, with a reset.
  const { status, code } = await request(house.url, { ':authority': authority, ':path': GET_PRODUCT, 'content-type': 'application/json', ...signedIn() }, Buffer.from('{}'));
  expect(status === 400 || code !== http2.constants.NGHTTP2_NO_ERROR).toBe(true);
});

test.each([
  ['not HTTP at all', 'hello\r\n\r\n'],
  ['both lengths', `${HEAD}host: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['a line break in a header', `${HEAD}host: a\r\nx-a: b\nx-c\r\n\r\n{}`],
  ['an absolute target', `POST http://other${GET_PRODUCT} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`],
  ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n'],
  ['an upgrade', `GET ${GET_PRODUCT} HTTP/1.1\r\nhost: a\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n`],
  ['a header of 100 KB', `${HEAD}host: a\r\nx-a: ${'a'.repeat(100_000)}\r\n\r\n{}`],
  ['ten thousand headers', `${HEAD}host: a\r\n${'a: b\r\n'.repeat(10_000)}\r\n{}`],
])('HTTP/1.1: %s is the caller\'s fault', async (_, bytes) => {
  expect(await raw(house.url, bytes)).toMatch(/^(HTTP\/1\.1 (4|501)|$)/);
});

test.each([
  ['a frame of an unknown type', Buffer.from([0, 0, 4, 0xee, 0, 0, 0, 0, 0, 1, 2, 3, 4])],
  ['data on stream 0', Buffer.from([0, 0, 1, 0, 0, 0, 0, 0, 0, 1])],
  ['headers that do not decode', Buffer.from([0, 0, 4, 1, 5, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff])],
  ['a length beyond every limit', Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])],
  ['noise', Buffer.from(Array.from({ length: 2_000 }, (_, i) => (i * 7919) % 256))],
])('HTTP/2: %s does no harm', async (_, bytes) => {
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  expect(await raw(house.url, Buffer.concat([preface, settings, bytes]), 300)).toBeDefined();
});

test.each([
  ['more headers than anybody needs', Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`x-${i}`, 'a']))],
  ['a header of 100 KB', { 'x-a': 'a'.repeat(60_000), 'x-b': 'b'.repeat(60_000) }],
])('HTTP/2: %s is refused', async (_, headers) => {
  const { status, code } = await request(house.url, { ':path': GET_PRODUCT, 'content-type': 'application/json', ...signedIn(), ...headers }, Buffer.from('{}'));
  expect(status === 431 || code !== 0).toBe(true);
});

test.each([
  ['Connect', 'application/proto', gzipSync(Buffer.alloc(50_000_000)), { 'content-encoding': 'gzip' }],
  ['Connect, plain', 'application/proto', Buffer.alloc(3_000_000), {}],
  ['gRPC', 'application/grpc', (() => { const bomb = framed(gzipSync(Buffer.alloc(50_000_000))); bomb[0] = 1; return bomb; })(), { 'grpc-encoding': 'gzip' }],
  ['gRPC, plain', 'application/grpc', framed(Buffer.alloc(3_000_000)), {}],
])('a message that is too large, also when unpacked, is refused as such (%s)', async (_, type, body, more) => {
  const answer = await request(house.url, { ':path': GET_PRODUCT, 'content-type': type, ...signedIn(), ...more }, body);
  expect(answer.headers['grpc-status'] ?? answer.trailers['grpc-status'] ?? String(answer.status)).toMatch(/^(8|429)$/);
});

test.each([
  ['application/json', '{"sku":'],
  ['application/json', '['.repeat(100_000)],
  ['application/proto', '\xff\xff\xff'],
  ['application/grpc', '\x00\x00\x00\x00\x05ab'],
  ['application/grpc-web+proto', '\x00\xff\xff\xff\xff'],
  ['application/connect+proto', '\x07'],
])('a %s message that does not decode is the caller\'s fault', async (type, body) => {
  const path = type.includes('connect') ? IMPORT : GET_PRODUCT;
  const answer = await request(house.url, { ':path': path, 'content-type': type, ...signedIn() }, Buffer.from(body, 'latin1'));
  expect(answer.status).toBeLessThan(500);
  expect(answer.headers['grpc-status'] ?? answer.trailers['grpc-status'] ?? '3').toMatch(/^(3|8)$/);
});

test('whatever headers, paths and bytes come, the answer is never a fault of ours', async () => {
  const session = http2.connect(house.url);
  session.on('error', () => {});
  const types = ['application/json', 'application/proto', 'application/grpc', 'application/grpc-web', 'application/grpc-web-text', 'application/connect+json', 'application/connect+proto', 'text/plain', ''];
  const paths = [GET_PRODUCT, IMPORT, '/', '/webhooks/stripe', '/millrace.ops.v1.DeadLetterService/ListDeadLetters', '/millrace.order.v1.OrderService/WatchOrder', '/grpc.health.v1.Health/Check'];
  const value = fc.string({ unit: fc.constantFrom(...Array.from('abcZ019 ;,=/+.-_"%ÿé')), maxLength: 40 }).map((text) => text.trim());
  const headers = fc.dictionary(fc.constantFrom('connect-timeout-ms', 'grpc-timeout', 'grpc-encoding', 'content-encoding', 'accept-encoding', 'connect-protocol-version', 'millrace-service', 'traceparent', 'x-request-id', 'origin', 'cookie', 'x-foo'), value, { maxKeys: 6 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...paths), fc.constantFrom(...types), headers, fc.uint8Array({ maxLength: 200 }), fc.boolean(), fc.constantFrom('POST', 'GET', 'OPTIONS', 'DELETE'), async (path, type, more, body, envelope, method) => {
      if (session.destroyed) throw new Error('the connection was ended');
      const stream = session.request({ ':method': method, ':path': path, ...(type && { 'content-type': type }), ...signedIn(), ...more, 'x-deadline': '1' }, { endStream: false });
      const gone = setTimeout(() => stream.close(http2.constants.NGHTTP2_CANCEL), 2_000);
      const answer = await answerOf(stream, envelope ? framed(body) : Buffer.from(body));
      clearTimeout(gone);
      const status = answer.headers['grpc-status'] ?? answer.trailers['grpc-status'] ?? '0';
      // Unknown, internal and data loss would be ours.
      expect([answer.status === 500, /^(2|13|15)$/.test(String(status))]).toEqual([false, false]);
    }),
    { numRuns: 400, interruptAfterTimeLimit: 40_000 },
  );
  session.close();
});

test.each([
  ['a unary call that is reset', GET_PRODUCT, 'application/proto', 'reset'],
  ['a unary call whose connection is cut', GET_PRODUCT, 'application/proto', 'cut'],
  ['a client stream that is reset', IMPORT, 'application/connect+proto', 'reset'],
  ['a client stream whose connection is cut', IMPORT, 'application/connect+proto', 'cut'],
])('half a message is never taken for a whole one: %s', async (_, path, type, how) => {
  house.seen.length = 0;
  house.ended.length = 0;
  await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const session = http2.connect(house.url);
      session.on('error', () => {});
      const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': type, ...signedIn() });
      stream.on('error', () => {});
      stream.write(path === IMPORT ? framed(Buffer.from('\n\u0005\n\u0003mug')) : '\n\u0003mug');
      await new Promise((resolve) => setTimeout(resolve, i));
      if (how === 'reset') stream.destroy(new Error('reset'));
      if (how === 'cut') session.destroy();
      await new Promise((resolve) => setTimeout(resolve, 300));
      session.destroy();
    }),
  );
  await until(async () => (await inFlight()) === 0, 'no call is in flight');
  expect([house.seen, house.ended]).toEqual([[], []]);
});

test('a body that comes drop by drop holds no place at the service and is ended', async () => {
  house.seen.length = 0;
  const { hostname, port } = new URL(house.url);
  const socket = net.connect(Number(port), hostname);
  socket.on('error', () => {});
  socket.write(`POST ${GET_PRODUCT} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nauthorization: Bearer ${house.token}\r\ncontent-length: 1000\r\n\r\n{`);
  const drip = setInterval(() => socket.write(' '), 100);
  const answer = await new Promise<string>((resolve) => socket.once('data', (chunk: Buffer) => resolve(chunk.toString())));
  clearInterval(drip);
  socket.destroy();
  expect(answer).toContain('deadline_exceeded');
  expect(house.seen).toEqual([]);
});

test('thousands of calls that are cancelled at once leave nothing behind, and break off nobody else', async () => {
  const bystander = new AbortController();
  const client = createClient(ProductService, createConnectTransport({ baseUrl: house.url, httpVersion: '1.1' }));
  const patient = client.getProduct({ sku: SKU.slow }, { headers: signedIn(), signal: bystander.signal }).catch((error: unknown) => ConnectError.from(error).code);
  // More than one connection may break off.
  for (let wave = 0; wave < 4; wave += 1) await cancelled(1_000);
  await until(async () => (await inFlight()) === 1, 'only one call is in flight');
  bystander.abort();
  expect(await patient).toBe(Code.Canceled);
  await until(async () => (await inFlight()) === 0, 'no call is in flight');
});

async function cancelled(calls: number): Promise<void> {
  const session = http2.connect(house.url);
  session.on('error', () => {});
  for (let i = 0; i < calls; i += 1) {
    const stream = session.request({ ':method': 'POST', ':path': i % 2 ? GET_PRODUCT : IMPORT, 'content-type': i % 2 ? 'application/json' : 'application/connect+json', ...signedIn() });
    stream.on('error', () => {});
    if (i % 3) stream.write(`{"sku":"${SKU.slow}"}`);
    if (i % 5) stream.end();
    setImmediate(() => stream.close(http2.constants.NGHTTP2_CANCEL));
    if (i % 500 === 499) await new Promise((resolve) => setImmediate(resolve));
  }
  await until(async () => (await inFlight()) <= 1, 'they are over');
  session.destroy();
}

test('the public gets no channel', async () => {
  const answer = await request(house.url, { ':path': CHANNEL_PATH, 'content-type': CHANNEL_TYPE, ...signedIn() }, Buffer.alloc(0));
  expect(answer.headers[':status']).toBe(404);
});

test('connections that say nothing are closed, and keep nobody out', async () => {
  const { hostname, port } = new URL(house.url);
  const sockets = Array.from({ length: 500 }, () => net.connect(Number(port), hostname).on('error', () => {}));
  const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  expect((await fetch(`${house.url}/healthz`)).status).toBe(200);
  await Promise.all(closed);
});

async function inFlight(): Promise<number> {
  const text = await (await fetch(`${house.url}/metrics`)).text();
  return [...text.matchAll(/^millrace_edge_\w+_(?:calls_in_flight|streams_open)(?:\{[^}]*\})? (\d+)$/gm)].reduce((sum, match) => sum + Number(match[1]), 0);
}
