// Streams at the pace of whoever is slower, in both directions, and ends that each side hears of.
import http from 'node:http';
import http2 from 'node:http2';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createBodies } from '../../edge/src/body.ts';
import { createGate } from '../../edge/src/gate.ts';
import { closeNeighbours, createNeighbours } from '../../edge/src/neighbours.ts';
import { createLog } from '@millrace/chassis/telemetry/log';
import { ServerReflection } from '@millrace/gen/grpc/reflection/v1/reflection_pb.js';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { type House, SKU, openHouse, until } from './stubs.ts';
import { framed } from './wire.ts';

const WATCH = '/millrace.inventory.v1.InventoryService/WatchStock';
const IMPORT = '/millrace.product.v1.ProductService/ImportProducts';
/** 64 KB messages: the windows and buffers of three sockets hold a few. */
const FEW = 60;

let house: House;
beforeAll(async () => { house = await openHouse(); });
afterAll(async () => { await house[Symbol.asyncDispose](); });
beforeEach(() => { house.ended.length = 0; });

const sent = () => Number(house.ended[0]?.replace('sent ', '') ?? 0);
const connectStream = () => ({ 'content-type': 'application/connect+json', authorization: `Bearer ${house.token}` });

test('a reader over HTTP/2 that stops reading stops the service from sending, and nobody else', async () => {
  const session = http2.connect(house.url);
  const stream = session.request({ ':method': 'POST', ':path': WATCH, ...connectStream() });
  stream.on('error', () => {});
  stream.end(framed(JSON.stringify({ skus: [SKU.endless] })));
  await new Promise((resolve) => stream.once('data', resolve));
  stream.pause();
  const stopped = await standsStill();
  expect(stopped).toBeLessThan(FEW);
  expect(await call(session)).toBe(200);
  stream.resume();
  await until(() => sent() > stopped + 10, 'the service goes on');
  stream.close();
  session.close();
});

test('a reader over HTTP/1.1 that stops reading stops the service from sending', async () => {
  const body = framed(JSON.stringify({ skus: [SKU.endless] }));
  const answer = await new Promise<http.IncomingMessage>((resolve) => http.request(house.url + WATCH, { method: 'POST', headers: connectStream() }, resolve).end(body));
  answer.on('error', () => {});
  await new Promise((resolve) => answer.once('data', resolve));
  answer.pause();
  // The kernel's own buffers hold some megabytes of a local connection.
  const stopped = await standsStill();
  expect(stopped).toBeLessThan(FEW * 5);
  answer.destroy();
  await until(async () => (await metric('millrace_edge_inventory_streams_open')) === 0, 'the stream is closed');
});

test('a service that does not read stops the sender', async () => {
  const session = http2.connect(house.url);
  // An envelope that promises more than it brings: the service waits for the rest and refuses nothing yet.
  const stream = session.request({ ':method': 'POST', ':path': IMPORT, ...connectStream() });
  stream.on('error', () => {});
  stream.resume();
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(1_000_000, 1);
  stream.write(prefix);
  expect(stream.write(Buffer.alloc(500_000))).toBe(false);
  expect(await call(session)).toBe(200);
  stream.close(http2.constants.NGHTTP2_CANCEL);
  await until(async () => (await metric('millrace_edge_product_streams_open')) === 0, 'the stream is closed');
  session.close();
});

test.each(['HTTP/1.1', 'HTTP/2'])('a caller over %s that vanishes frees its places', async (version) => {
  const body = framed(JSON.stringify({ skus: [SKU.slow] }));
  if (version === 'HTTP/2') {
    const session = http2.connect(house.url);
    session.on('error', () => {});
    const stream = session.request({ ':method': 'POST', ':path': WATCH, ...connectStream() });
    stream.on('error', () => {});
    stream.end(body);
    await new Promise((resolve) => stream.once('data', resolve));
    session.destroy();
  } else {
    const request = http.request(house.url + WATCH, { method: 'POST', headers: connectStream() }).on('error', () => {});
    request.end(body);
    await new Promise((resolve) => request.once('response', (answer: http.IncomingMessage) => answer.on('error', () => {}).once('data', resolve)));
    request.destroy();
  }
  await until(() => house.ended.includes('watch'), 'the service saw the end');
  await until(async () => (await metric('millrace_edge_inventory_streams_open')) === 0, 'the stream is closed');
  expect(house.ended).toEqual(['watch']);
});

test('a stream in both directions answers each message before the next is sent', async () => {
  // None of our contracts has one; reflection does, behind an edge that is told to forward it.
  const log = createLog('stub', 'silent');
  const urls = { order: house.main.url, product: house.main.url, inventory: house.main.url, payment: house.main.url, notification: house.main.url };
  const neighbours = createNeighbours(urls, log);
  const gate = createGate({
    rpcs: new Map([[`/${ServerReflection.typeName}/ServerReflectionInfo`, { owner: 'product', unary: false, get: false }]]),
    verify: () => Promise.resolve({ subject: 'ann', role: 'buyer' }),
    rateLimit: () => 0,
    neighbours,
    bodies: createBodies(),
    stopping: new AbortController().signal,
    origins: [],
    log,
    measure: () => {},
  });
  const server = http2.createServer(gate);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${(server.address() as { port: number }).port}` });
  const answers = createClient(ServerReflection, transport).serverReflectionInfo(questions());
  const heard: string[] = [];
  const asked: string[] = [];
  async function* questions() {
    for (const value of ['first', 'second', 'third']) {
      asked.push(value);
      yield { host: value, messageRequest: { case: 'listServices' as const, value: '' } };
      await until(() => heard.includes(value), `the answer to ${value}`);
    }
  }
  for await (const { validHost } of answers) heard.push(validHost);
  expect(heard).toEqual(asked);
  closeNeighbours(neighbours);
  server.close();
});

async function standsStill(): Promise<number> {
  let last = -1;
  await until(async () => {
    const before = sent();
    await new Promise((resolve) => setTimeout(resolve, 200));
    last = sent();
    return before > 0 && last === before;
  }, 'the service stopped sending');
  return last;
}

async function call(session: http2.ClientHttp2Session): Promise<number> {
  const stream = session.request({ ':method': 'POST', ':path': '/millrace.product.v1.ProductService/GetProduct', 'content-type': 'application/json', authorization: `Bearer ${house.token}` });
  stream.end('{"sku":"mug"}');
  stream.resume();
  return new Promise((resolve) => stream.once('response', (headers) => resolve(headers[':status'] ?? 0)));
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${house.url}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
}

