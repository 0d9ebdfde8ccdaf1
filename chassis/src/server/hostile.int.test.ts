import http2 from 'node:http2';
import { gzipSync } from 'node:zlib';
import { create, toBinary, toJsonString } from '@bufbuild/protobuf';
import { Code, type HandlerContext, createClient } from '@connectrpc/connect';
import { compressionBrotli, compressionGzip, createGrpcTransport } from '@connectrpc/connect-node';
import { ViolationsSchema } from '@millrace/gen/buf/validate/validate_pb.js';
import { CreateProductRequestSchema, GetProductRequestSchema, ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GET_PRODUCT, envelope, eventually, failure, openSession, raw, rest } from '../../test/callers.ts';
import { type Stub, startStub } from '../../test/stub-server.ts';
import { errorInfo } from '../api/errors.ts';
import { CHANNEL_PATH } from './channel.ts';

// A HEADERS frame with ":status: 400" (12th of the static table), or RST_STREAM.
// oxlint-disable-next-line no-control-regex -- frames are binary
const BAD_REQUEST_OR_RESET = /\u0001[\u0004\u0005]\0\0\0\u0001[^]*\u008c|\0\0\u0004\u0003\0\0\0\0\u0001/;

const CREATE_PRODUCT = '/millrace.product.v1.ProductService/CreateProduct';
const PRODUCT = { product: { sku: 'MUG', name: 'Müg', price: { currencyCode: 'EUR', minorUnits: 5n }, attributes: { size: 'L' } }, initialStock: 3, requestId: 'r-1' };

let server: Stub;
beforeAll(async () => {
  server = await startStub({ createProduct: ({ product }) => ({ product }) });
});
afterAll(async () => server.stop(0));

describe('a hostile Host', () => {
  const request = (host: string): string => `POST ${GET_PRODUCT} HTTP/1.1\r\n${host}content-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`;

  it.each([
    ['missing in HTTP/1.1', request('')],
    ['empty', request('Host:\r\n')],
    ['unparseable', request('Host: a:b:c\r\n')],
    ['with a path', request('Host: a/../b\r\n')],
    ['missing in HTTP/1.0', request('').replace('HTTP/1.1', 'HTTP/1.0')],
  ])('%s is a 400, and the process lives', async (_title, bytes) => {
    expect(await raw(server.port, bytes)).toMatch(/^HTTP\/1.1 400 /);
  });

  it('unparseable in :authority is a 400, and the process lives', async () => {
    await using session = openSession(server.url);
    expect((await session.request({ ':method': 'POST', ':path': GET_PRODUCT, ':authority': 'a:b:c', 'content-type': 'application/grpc' })).status).toBe(400);
  });

  it('unparseable in HTTP/2 without :authority is a 400, and the process lives', async () => {
    await using session = openSession(server.url);
    expect((await session.request({ ':method': 'POST', ':path': GET_PRODUCT, host: 'a:b:c', 'content-type': 'application/grpc' })).status).toBe(400);
  });

  it.each([
    ['missing', ''],
    ['empty', '\u0001\0'],
  ])('%s in HTTP/2 is a 400 or a reset, and the process lives', async (_title, authority) => {
    // HPACK by hand, because clients fill in what is missing: POST, http, :path, perhaps :authority.
    const headers = Buffer.from(`\u0083\u0086\u0004${String.fromCharCode(GET_PRODUCT.length)}${GET_PRODUCT}${authority}`, 'latin1');
    const frames = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0), frame(1, 5, 1, headers)]);
    expect(await raw(server.port, frames, BAD_REQUEST_OR_RESET)).toMatch(BAD_REQUEST_OR_RESET);
  });

  it('was survived', async () => {
    expect((await rest(server, '{"sku":"MUG"}')).status).toBe(200);
  });
});

describe('a session that ends in the packet that opens a stream', () => {
  it.each([
    ['a call', GET_PRODUCT],
    ['a channel', CHANNEL_PATH],
  ])('with %s is survived', async (_title, path) => {
    const text = (value: string): string => String.fromCharCode(value.length) + value;
    // :path and :authority by their places in the static table, content-type (31st) as the first literal.
    const headers = Buffer.from(`\u0083\u0086\u0004${text(path)}\u0001${text('localhost')}\u000f\u0010${text('application/proto')}`, 'latin1');
    const goaway = Buffer.alloc(8);
    goaway.writeUInt32BE(http2.constants.NGHTTP2_INTERNAL_ERROR, 4);
    await raw(server.port, Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0), frame(1, 4, 1, headers), frame(7, 0, 0, goaway)]));
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/^millrace_uncaught_errors\{[^}]*\} 0$/m);
  });
});

describe('a malformed message', () => {
  it.each([
    ['binary Connect', 'application/proto', Buffer.from([0xff, 0xff, 0xff]), {}],
    ['JSON that is none', 'application/json', '{"sku":', {}],
    ['JSON of another shape', 'application/json', '{"sku":{"a":"canary"}}', {}],
    ['JSON nested deeply', 'application/json', '['.repeat(50_000), {}],
    ['invalid UTF-8', 'application/proto', Buffer.from([0x0a, 0x02, 0xc3, 0x28]), {}],
    ['packed that is not', 'application/proto', 'no gzip', { 'content-encoding': 'gzip' }],
    ['a truncated packed one', 'application/proto', gzipSync('some bytes that were longer').subarray(0, 20), { 'content-encoding': 'gzip' }],
    ['a timeout that is none', 'application/json', '{"sku":"MUG"}', { 'connect-timeout-ms': 'soon' }],
  ])('%s is the fault of the caller', async (_title, type, body, headers) => {
    const error = await failure(rest(server, body, { ...server.authorized().headers, 'content-type': type, ...headers }));
    expect([error.code, error.reason]).toEqual([Code.InvalidArgument, 'MALFORMED_MESSAGE']);
    expect(error.rawMessage).not.toContain('canary');
  });

  it.each([
    ['gRPC', 'application/grpc+proto'],
    ['gRPC-Web', 'application/grpc-web+proto'],
  ])('%s is the fault of the caller', async (_title, type) => {
    await using session = openSession(server.url);
    const answer = await session.request({ ':method': 'POST', ':path': GET_PRODUCT, ...server.authorized().headers, 'content-type': type, te: 'trailers' }, envelope(Buffer.from([0xff, 0xff, 0xff])));
    expect(answer.text).toMatch(/"?grpc-status"?: ?"?3/);
  });

  it('a truncated envelope is the fault of the caller', async () => {
    await using session = openSession(server.url);
    const answer = await session.request({ ':method': 'POST', ':path': GET_PRODUCT, ...server.authorized().headers, 'content-type': 'application/grpc', te: 'trailers' }, Buffer.from([0, 0, 0, 0, 200, 1]));
    expect(answer.text).toMatch(/"grpc-status":"3"/);
  });

  it('a message said to be packed, without saying how, is the fault of the caller', async () => {
    await using session = openSession(server.url);
    const answer = await session.request({ ':method': 'POST', ':path': GET_PRODUCT, ...server.authorized().headers, 'content-type': 'application/grpc', te: 'trailers' }, Buffer.from([1, 0, 0, 0, 1, 1]));
    expect(answer.text).toMatch(/"grpc-status":"3"/);
  });

  it('of any kind never is a fault of ours', { timeout: 60_000 }, async () => {
    await using session = openSession(server.url);
    const types = ['proto', 'json', 'grpc', 'grpc+json', 'grpc-web', 'grpc-web+json', 'connect+proto'];
    const good = [Buffer.from(toBinary(CreateProductRequestSchema, create(CreateProductRequestSchema, PRODUCT))), Buffer.from(toJsonString(CreateProductRequestSchema, create(CreateProductRequestSchema, PRODUCT)))];
    const body = fc.tuple(fc.constantFrom(...good), fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom('flip', 'cut', 'insert', 'repeat')), { maxLength: 4 })).map(([bytes, edits]) => edits.reduce(edited, bytes));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...types), body, fc.constantFrom(0, 0, 0, 1, 2, 255), async (type, bytes, flags) => {
        const sent = type === 'proto' || type === 'json' ? bytes : Buffer.concat([Buffer.from([flags]), envelope(bytes).subarray(1)]);
        const { text } = await session.request({ ':method': 'POST', ':path': CREATE_PRODUCT, ...server.authorized().headers, 'content-type': `application/${type}`, te: 'trailers' }, sent);
        expect(text).not.toMatch(/"code":"(internal|unknown)"|"?grpc-status"?: ?"?(2|13)\b/);
      }),
      { numRuns: 300 },
    );
  });

  it('another content type is a 415', async () => {
    expect((await rest(server, 'x', { ...server.authorized().headers, 'content-type': 'text/html' })).status).toBe(415);
  });
});

describe('too much', () => {
  it.each([
    ['a large body', Buffer.alloc(2 * 1_048_576), {}],
    ['a gzip bomb', gzipSync(Buffer.alloc(200 * 1_048_576)), { 'content-encoding': 'gzip' }],
  ])('%s is refused cheaply', async (_title, body, headers) => {
    const before = process.memoryUsage().rss;
    const error = await failure(rest(server, body, { ...server.authorized().headers, 'content-type': 'application/proto', ...headers }));
    expect([error.code, error.reason]).toEqual([Code.ResourceExhausted, 'MESSAGE_TOO_LARGE']);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1_048_576);
  });

  it.each([
    ['gzip', () => createGrpcTransport({ baseUrl: server.url, sendCompression: compressionGzip }), 'MESSAGE_TOO_LARGE'],
    ['none', () => createGrpcTransport({ baseUrl: server.url }), 'MESSAGE_TOO_LARGE'],
    ['brotli, which we do not speak', () => createGrpcTransport({ baseUrl: server.url, sendCompression: compressionBrotli }), undefined],
  ])('a large message over gRPC packed with %s is refused', async (_title, transport, reason) => {
    const client = createClient(ProductService, transport());
    const error = await failure(client.createProduct({ product: { sku: 'A', description: 'x'.repeat(2 * 1_048_576) } }, server.authorized()));
    expect([error.code, errorInfo(error)?.reason]).toEqual([reason ? Code.ResourceExhausted : Code.Unimplemented, reason]);
  });

  it('a large body of unknown length is refused with an answer, not with a reset', async () => {
    const head = `POST ${GET_PRODUCT} HTTP/1.1\r\nHost: a\r\nauthorization: Bearer ${server.token}\r\ncontent-type: application/proto\r\ntransfer-encoding: chunked\r\n\r\n`;
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    expect(await raw(server.port, head + chunk.repeat(20), /resource_exhausted/)).toMatch(/^HTTP\/1.1 429 .*resource_exhausted/s);
  });

  it('a huge header is a 431', async () => {
    expect(await raw(server.port, `GET /healthz HTTP/1.1\r\nHost: a\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 431 /);
  });

  it('thousands of violations are cut to what fits in an answer', async () => {
    const client = createClient(ProductService, createGrpcTransport({ baseUrl: server.url }));
    const error = await failure(client.batchGetProducts({ skus: Array.from({ length: 1_900 }, () => '!') }, server.authorized()));
    expect(error.findDetails(ViolationsSchema)[0]?.violations).toHaveLength(20);
    expect(error.rawMessage).toMatch(/and 1897 more$/);
  });
});

describe('too slow', () => {
  let strict: Stub;
  beforeAll(async () => {
    strict = await startStub({}, { limits: { unaryMs: 500, cutMs: 200, sniffTimeout: 300, headersTimeout: 400, requestTimeout: 800, checkInterval: 50, sessionIdleTimeout: 300 } });
  });
  afterAll(async () => strict.stop(0));

  it.each([
    ['saying nothing', ''],
    ['stopping in the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\n'],
    ['stopping in the headers', 'GET /healthz HTTP/1.1\r\nHost: a\r\n'],
    ['stopping in the body', `POST ${GET_PRODUCT} HTTP/1.1\r\nHost: a\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{`],
    ['opening HTTP/2 and nothing more', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0'],
  ])('%s loses the connection', async (_title, bytes) => {
    const started = performance.now();
    await raw(strict.port, bytes);
    expect(performance.now() - started).toBeLessThan(4_000);
  });

  it('an HTTP/2 body without end is cut off', async () => {
    await using session = openSession(strict.url);
    const stream = session.session.request({ ':method': 'POST', ':path': GET_PRODUCT, ...strict.authorized().headers, 'content-type': 'application/proto' }, { endStream: false });
    const code = await new Promise((resolve) => {
      stream.on('error', () => {}).on('close', () => resolve(stream.rstCode));
      stream.write(Buffer.from([1]));
    });
    expect(code).toBe(http2.constants.NGHTTP2_CANCEL);
  });
});

it.each(['CANCEL', 'NO_ERROR'] as const)('a connection that breaks off more calls than it may, saying %s, is ended, with no other one', async (code) => {
  const most = 20;
  let [entered, gone] = [0, 0];
  const getProduct = async (_: unknown, context: HandlerContext): Promise<never> => {
    entered += 1;
    return new Promise(() => context.signal.addEventListener('abort', () => (gone += 1)));
  };
  await using strict = await startStub({ getProduct }, { limits: { resetBurst: most, resetRate: 0 } });
  await using other = openSession(strict.url);
  await using session = openSession(strict.url);
  const codes: number[] = [];
  session.session.on('goaway', (code) => codes.push(code));
  const breakOff = async () => {
    const before = entered;
    const stream = session.session.request({ ':method': 'POST', ':path': GET_PRODUCT, 'content-type': 'application/proto', ...strict.authorized().headers });
    stream.on('error', () => {}).end(toBinary(GetProductRequestSchema, create(GetProductRequestSchema, { sku: 'MUG' })));
    await eventually(() => entered > before, 'the call arrives');
    stream.close(http2.constants[`NGHTTP2_${code}`]);
    await eventually(() => gone === entered, 'its end does');
  };
  for (let i = 0; i < most; i += 1) await breakOff();
  expect((await session.request({ ':path': '/healthz' })).status).toBe(200);
  await breakOff();
  await eventually(() => session.session.destroyed, 'the end');
  expect(codes).toEqual([http2.constants.NGHTTP2_ENHANCE_YOUR_CALM]);
  expect((await other.request({ ':path': '/healthz' })).status).toBe(200);
});

it('nothing of all that was logged as a fault of ours', () => {
  expect(server.lines.length).toBeGreaterThan(10);
  expect(server.lines.filter(({ level }) => level !== 'debug')).toEqual([]);
});

function edited(bytes: Buffer, [at, value, how]: [number, number, string]): Buffer {
  const place = bytes.length === 0 ? 0 : at % bytes.length;
  const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
  if (how === 'cut') return before;
  if (how === 'repeat') return Buffer.concat([bytes, after]);
  return Buffer.concat([before, Buffer.from([value]), how === 'flip' ? after.subarray(1) : after]);
}

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.from([0, 0, 0, type, flags, 0, 0, 0, stream]);
  head.writeUIntBE(payload.length, 0, 3);
  return Buffer.concat([head, payload]);
}
