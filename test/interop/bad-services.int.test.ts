// Services that behave badly: die in the middle, say nothing, refuse. The caller hears of it in its own protocol.
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { sizeDelimitedEncode } from '@bufbuild/protobuf/wire';
import { errorInfo } from '@millrace/chassis/api/errors';
import { CHANNEL_PATH, Cutter, SAID, recordOf } from '@millrace/chassis/server/channel';
import { AnswerBundleSchema, CallBundleSchema } from '@millrace/gen/millrace/ops/v1/bundle_pb.js';
import { GetOrderResponseSchema, OrderService, WatchOrderResponseSchema } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startEdge } from '../../edge/src/main.ts';
import { type TestKeys, testKeys } from '../support/tokens.ts';
import { framed, request } from './wire.ts';

type Edge = Awaited<ReturnType<typeof startEdge>>;
type OnStream = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

let behave: OnStream;
/** The same for the channel that calls travel in together. */
let behaveChannel: OnStream;
let sockets: Set<net.Socket>;
let service: http2.Http2Server;
let edge: Edge;
let headers: Record<string, string>;
let keys: TestKeys;
let url: string;

beforeAll(async () => {
  sockets = new Set();
  service = http2.createServer();
  service.on('connection', (socket: net.Socket) => sockets.add(socket.once('close', () => sockets.delete(socket))));
  service.on('sessionError', () => {});
  service.on('stream', ((stream, sent) => {
    stream.on('error', () => {});
    if (sent[':path'] === '/readyz') stream.respond({ ':status': 200 }, { endStream: true });
    else if (sent[':path'] === CHANNEL_PATH) behaveChannel(stream, sent);
    else behave(stream, sent);
  }) satisfies OnStream);
  url = `http://127.0.0.1:${await listen(service)}`;
  keys = await testKeys();
  headers = { authorization: `Bearer ${await keys.token('ann', 'buyer')}` };
  edge = await edgeBefore(url);
});
afterAll(async () => {
  await edge.stop();
  for (const socket of sockets) socket.destroy();
  service.close();
});
beforeEach(() => {
  behave = (stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
  behaveChannel = (stream) => stream.respond({ ':status': 404 }, { endStream: true });
});

const transports = {
  Connect: () => createConnectTransport({ baseUrl: edge.url, httpVersion: '2' }),
  'Connect over HTTP/1.1': () => createConnectTransport({ baseUrl: edge.url, httpVersion: '1.1' }),
  gRPC: () => createGrpcTransport({ baseUrl: edge.url }),
  'gRPC-Web': () => createGrpcWebTransport({ baseUrl: edge.url, httpVersion: '1.1' }),
};
const message = framed(toBinary(WatchOrderResponseSchema, create(WatchOrderResponseSchema, { order: { orderId: 'ord_1', version: 1 } })));
/** Dies the hard way: no GOAWAY, no RST_STREAM. */
const die = () => { for (const socket of sockets) socket.resetAndDestroy(); };
const begin = (stream: http2.ServerHttp2Stream, sent: http2.IncomingHttpHeaders, bytes: Buffer) => {
  stream.respond({ ':status': 200, 'content-type': sent['content-type'] });
  return new Promise((resolve) => stream.write(bytes, resolve));
};

describe.each(Object.entries(transports))('%s', (_, make) => {
  test('a service that dies before it answers was unavailable', async () => {
    behave = die;
    const error = await failure(createClient(OrderService, make()).getOrder({ orderId: 'ord_1' }, { headers }));
    expect([error.code, errorInfo(error)]).toEqual([Code.Unavailable, { reason: 'DEPENDENCY_UNAVAILABLE', metadata: { service: 'order' } }]);
  });

  test('a service that dies between two messages of a stream was unavailable, after the first', async () => {
    behave = (stream, sent) => void begin(stream, sent, message);
    const got: number[] = [];
    const error = await failure((async () => {
      for await (const { order } of createClient(OrderService, make()).watchOrder({ orderId: 'ord_1' }, { headers })) {
        got.push(order?.version ?? 0);
        die();
      }
    })());
    expect(got).toEqual([1]);
    expect([error.code, errorInfo(error)?.reason]).toEqual([Code.Unavailable, 'DEPENDENCY_UNAVAILABLE']);
  });

  test('a service that dies inside a message leaves no half message behind', async () => {
    behave = (stream, sent) => void begin(stream, sent, message.subarray(0, -1)).then(() => setTimeout(die, 50));
    const got: unknown[] = [];
    const error = await failure((async () => {
      for await (const { order } of createClient(OrderService, make()).watchOrder({ orderId: 'ord_1' }, { headers })) got.push(order);
    })());
    expect(got).toEqual([]);
    expect(error).toBeInstanceOf(ConnectError);
  });

  test('a service that has too much to do is overloaded', async () => {
    behave = (stream) => stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
    const error = await failure(createClient(OrderService, make()).getOrder({ orderId: 'ord_1' }, { headers }));
    expect([error.code, errorInfo(error)?.reason]).toEqual([Code.Unavailable, 'OVERLOADED']);
  });

  test('a call that a stopping service refused unseen is sent again, and no caller notices', async () => {
    let sendings = 0;
    behave = (stream, sent) => {
      sendings += 1;
      if (sendings === 1) return stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      answerWell(stream, sent);
    };
    const answer = await createClient(OrderService, make()).getOrder({ orderId: 'ord_1' }, { headers });
    expect([answer.order?.orderId, sendings]).toEqual(['ord_1', 2]);
  });

  test('a service that stops in order takes no call with it', async () => {
    let stopping = false;
    behave = (stream, sent) => {
      if (!stopping) stream.session?.close(); // GOAWAY
      stopping = true;
      setTimeout(() => answerWell(stream, sent), 20);
    };
    const client = createClient(OrderService, make());
    const orders = await Promise.all(Array.from({ length: 20 }, () => client.getOrder({ orderId: 'ord_1' }, { headers })));
    expect(orders.map(({ order }) => order?.orderId)).toEqual(Array.from({ length: 20 }, () => 'ord_1'));
  });
});

describe('calls that travel together', () => {
  // One of their own: an edge asks no more for a while when a service knows no channels.
  let own: Edge;
  beforeEach(async () => {
    own = await edgeBefore(url);
  });
  afterEach(async () => own.stop());

  const CALLS = 20;
  const BUNDLED = 'ord_bundled';
  const callAll = (heard = () => {}) => {
    const client = createClient(OrderService, createConnectTransport({ baseUrl: own.url, httpVersion: '2' }));
    return Promise.all(Array.from({ length: CALLS }, async () => {
      try {
        const { order } = await client.getOrder({ orderId: 'ord_1' }, { headers });
        if (order?.orderId === BUNDLED) heard();
        return 'answered';
      } catch (error) {
        return errorInfo(error)?.reason;
      }
    }));
  };
  const order = toBinary(GetOrderResponseSchema, create(GetOrderResponseSchema, { order: { orderId: BUNDLED } }));
  const answers = (numbers: number[], status = 200) => sizeDelimitedEncode(AnswerBundleSchema, create(AnswerBundleSchema, { answers: numbers.map((call) => ({ call, status, headers: ['content-type', 'application/proto'], body: order })) }));
  /** Reads what is asked, and answers as it is told. */
  const answering = (stream: http2.ServerHttp2Stream, say: (numbers: number[]) => Uint8Array) => {
    stream.respond({ ':status': 200 });
    const calls = new Cutter(1_000_000, (bytes) => void stream.write(say(fromBinary(CallBundleSchema, bytes).calls.map(({ call }) => call))));
    stream.on('data', (chunk: Buffer) => calls.push(chunk));
  };

  test('do so, and are all answered', async () => {
    const together: number[] = [];
    behaveChannel = (stream) => answering(stream, (numbers) => {
      together.push(numbers.length);
      return answers(numbers);
    });
    expect(await callAll()).toEqual(Array(CALLS).fill('answered'));
    expect(together.reduce((sum, calls) => sum + calls, 0)).toBe(CALLS);
    expect(Math.max(...together)).toBeGreaterThan(1);
  });

  test('do so in whatever protocol they come', async () => {
    const types = new Set<string | undefined>();
    behaveChannel = (stream) => {
      stream.respond({ ':status': 200 });
      const calls = new Cutter(1_000_000, (bytes) => {
        const asked = fromBinary(CallBundleSchema, bytes).calls;
        for (const { headers: pairs } of asked) types.add(recordOf(pairs)['content-type']);
        stream.write(answers(asked.map(({ call }) => call), SAID.UNSEEN));
      });
      stream.on('data', (chunk: Buffer) => calls.push(chunk));
    };
    behave = answerWell;
    const baseUrl = own.url;
    const ways = [
      createConnectTransport({ baseUrl, httpVersion: '2' }), createConnectTransport({ baseUrl, httpVersion: '1.1', useBinaryFormat: false }),
      createGrpcTransport({ baseUrl }), createGrpcWebTransport({ baseUrl, httpVersion: '1.1' }),
    ];
    const orders = await Promise.all(ways.map(async (transport) => createClient(OrderService, transport).getOrder({ orderId: 'ord_1' }, { headers })));
    expect(orders.map(({ order: got }) => got?.orderId)).toEqual(ways.map(() => 'ord_1'));
    expect(types).toEqual(new Set(['application/grpc+proto', 'application/grpc-web+proto', 'application/json', 'application/proto']));
  });

  test.each<[string, OnStream]>([
    ['is stopping', (stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM)],
    ['has not looked at them', (stream) => answering(stream, (numbers) => answers(numbers, SAID.UNSEEN))],
    ['ends in order', (stream) => answering(stream, () => sizeDelimitedEncode(AnswerBundleSchema, create(AnswerBundleSchema, { last: true })))],
    ['knows no channels', (stream) => stream.respond({ ':status': 404 }, { endStream: true })],
  ])('are sent one by one to a service that %s', async (_, refuses) => {
    let channels = 0;
    behaveChannel = (stream, sent) => {
      channels += 1;
      refuses(stream, sent);
    };
    behave = answerWell;
    expect(await callAll()).toEqual(Array(CALLS).fill('answered'));
    expect(channels).toBeGreaterThan(0);
  });

  test.each<[string, (stream: http2.ServerHttp2Stream) => void]>([
    ['dies', () => die()],
    ['breaks off', (stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR)],
    ['ends too early', (stream) => stream.end()],
    ['talks nonsense', (stream) => void stream.write(Buffer.from([2, 0xff, 0xff]))],
  ])('and have no answer when the service %s are unavailable; those before are answered', async (_, ends) => {
    const open: http2.ServerHttp2Stream[] = [];
    behaveChannel = (stream) => {
      open.push(stream);
      answering(stream, (numbers) => answers(numbers.slice(0, 1)));
    };
    // Not before an answer has arrived, so that it is one that was given before the end.
    const outcomes = await callAll(() => open.splice(0).forEach(ends));
    expect(new Set(outcomes)).toEqual(new Set(['answered', 'DEPENDENCY_UNAVAILABLE']));
  });
});

test.each([
  ['connect', { 'content-type': 'application/json', 'connect-timeout-ms': '100' }, Buffer.from('{}')],
  ['gRPC', { 'content-type': 'application/grpc', 'grpc-timeout': '100m', te: 'trailers' }, framed('')],
])('a service that says nothing is ended at the deadline (%s)', async (_, more, body) => {
  behave = () => {};
  const answer = await request(edge.url, { ':path': '/millrace.order.v1.OrderService/GetOrder', ...headers, ...more }, body);
  expect(answer.headers['grpc-status'] ?? (JSON.parse(answer.body.toString()) as { code: string }).code).toMatch(/^(4|deadline_exceeded)$/);
});

test('a connection that is taken and never answered is given up, and made again', async () => {
  const silent = net.createServer((socket) => socket.on('error', () => {}));
  const port = await listen(silent);
  const other = await edgeBefore(`http://127.0.0.1:${port}`);
  const transport = createConnectTransport({ baseUrl: other.url, httpVersion: '2' });
  const started = performance.now();
  const error = await failure(createClient(OrderService, transport).getOrder({}, { headers }));
  expect(errorInfo(error)?.reason).toBe('DEPENDENCY_UNAVAILABLE');
  expect(performance.now() - started).toBeLessThan(15_000);
  await other.stop();
  silent.close();
});

test('something that is no HTTP/2 server is a service that is away', async () => {
  const web = net.createServer((socket) => { socket.on('error', () => {}); socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'); });
  const other = await edgeBefore(`http://127.0.0.1:${await listen(web)}`);
  const transport = createConnectTransport({ baseUrl: other.url, httpVersion: '2' });
  const error = await failure(createClient(OrderService, transport).getOrder({}, { headers }));
  expect(errorInfo(error)?.reason).toBe('DEPENDENCY_UNAVAILABLE');
  await other.stop();
  web.close();
});

async function edgeBefore(of: string): Promise<Edge> {
  const env = { PORT: '0', LOG_LEVEL: 'silent', MILLRACE_JWKS: keys.jwks, ORDER_URL: of, PRODUCT_URL: of, INVENTORY_URL: of, PAYMENT_URL: of, NOTIFICATION_URL: of };
  return startEdge(env, new AbortController().signal);
}

function answerWell(stream: http2.ServerHttp2Stream, sent: http2.IncomingHttpHeaders): void {
  if (stream.destroyed) return;
  const bytes = toBinary(GetOrderResponseSchema, create(GetOrderResponseSchema, { order: { orderId: 'ord_1' } }));
  const type = String(sent['content-type']);
  if (type === 'application/proto' || type === 'application/json') {
    stream.respond({ ':status': 200, 'content-type': type });
    stream.end(type === 'application/proto' ? bytes : '{"order":{"orderId":"ord_1"}}');
  } else if (type.startsWith('application/grpc-web')) {
    const trailer = framed('grpc-status: 0\r\n');
    trailer[0] = 0x80;
    stream.respond({ ':status': 200, 'content-type': type });
    stream.end(Buffer.concat([framed(bytes), trailer]));
  } else {
    stream.respond({ ':status': 200, 'content-type': type }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(framed(bytes));
  }
}

async function listen(server: net.Server | http2.Http2Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function failure(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error('the call did not fail');
}
