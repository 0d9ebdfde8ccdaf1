// What is served from its stream is answered as connect-es answers it, which serves the same over HTTP/1.1.
import { once } from 'node:events';
import http, { type IncomingHttpHeaders } from 'node:http';
import http2 from 'node:http2';
import { gunzipSync } from 'node:zlib';
import { create, toBinary, toJsonString } from '@bufbuild/protobuf';
import { GetProductRequestSchema } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GET_PRODUCT, envelope } from '../../test/callers.ts';
import { type Stub, startStub } from '../../test/stub-server.ts';
import { refuse } from '../api/errors.ts';
import { CallContext } from './call-context.ts';

type Whole = { status: number | undefined; headers: IncomingHttpHeaders; body: Buffer };

let server: Stub;
let session: http2.ClientHttp2Session;
let own: boolean[] = [];
beforeAll(async () => {
  server = await startStub({
    getProduct({ sku }, context) {
      own.push(context instanceof CallContext);
      context.responseHeader.set('x-early', 'told');
      if (sku !== 'PLAIN') context.responseTrailer.set('x-late', 'told');
      if (sku === 'NONE') throw refuse('NOT_FOUND', 'there is none – really', { sku }, 1_500);
      if (sku === 'BROKEN') throw new Error('secret plan');
      if (sku === 'EMPTY') return {};
      return { product: { sku, name: 'Müg', description: 'x'.repeat(sku === 'LONG' ? 5_000 : 0) } };
    },
  });
  session = http2.connect(server.url);
});
afterAll(async () => {
  session.destroy();
  await server.stop(0);
});

const message = (sku: string) => create(GetProductRequestSchema, { sku });
const binary = (sku: string) => Buffer.from(toBinary(GetProductRequestSchema, message(sku)));
const BODIES: [contentType: string, body: (sku: string) => Buffer][] = [
  ['application/proto', binary],
  ['application/json', (sku) => Buffer.from(toJsonString(GetProductRequestSchema, message(sku)))],
  ['application/grpc', (sku) => envelope(binary(sku))],
  ['application/grpc-web+proto', (sku) => envelope(binary(sku))],
];

describe.each(BODIES)('%s', (contentType, body) => {
  const headers = (more = {}) => ({ ...server.authorized().headers, 'content-type': contentType, 'x-request-id': 'r-1', te: 'trailers', ...more });

  it.each(['MUG', 'PLAIN', 'EMPTY', 'NONE', 'BROKEN', 'not a sku'])('says of "%s" what connect-es says', async (sku) => {
    own = [];
    const [ours, theirs] = [await overHttp2(headers(), body(sku)), await overHttp1(headers(), body(sku))];
    expect(told(ours)).toEqual(told(theirs));
    expect(own).toEqual(sku === 'not a sku' ? [] : [true, false]);
  });

  it('says the same to somebody without a token', async () => {
    const [ours, theirs] = [await overHttp2(headers({ authorization: '' }), body('MUG')), await overHttp1(headers({ authorization: '' }), body('MUG'))];
    expect(told(ours)).toEqual(told(theirs));
  });
});

it('a long answer in JSON is packed for those who take it so, and only for them', async () => {
  const ask = async (sku: string, accepted: Record<string, string>) => overHttp2({ ...server.authorized().headers, 'content-type': 'application/json', ...accepted }, Buffer.from(JSON.stringify({ sku })));
  const [long, plain, short] = [await ask('LONG', { 'accept-encoding': 'br, gzip' }), await ask('LONG', {}), await ask('MUG', { 'accept-encoding': 'gzip' })];
  expect([long, plain, short].map(({ headers }) => headers['content-encoding'])).toEqual(['gzip', undefined, undefined]);
  expect(gunzipSync(long.body)).toEqual(plain.body);
  expect(long.body.length).toBeLessThan(500);
  expect(long.headers['content-length']).toBe(String(long.body.length));
});

/** What matters to the caller, wherever it stands: gRPC's status may come before the body or after it. */
function told({ status, headers, body }: Whole) {
  const { date: _, connection: _1, 'keep-alive': _2, 'transfer-encoding': _3, 'content-length': _4, ...said } = headers;
  return { status, headers: said, body: body.toString('latin1') };
}

async function overHttp2(headers: http2.OutgoingHttpHeaders, body: Buffer): Promise<Whole> {
  const stream = session.request({ ':method': 'POST', ':path': GET_PRODUCT, ...headers });
  let said: http2.IncomingHttpHeaders = {};
  stream.on('response', (heard) => (said = { ...said, ...heard })).on('trailers', (heard) => (said = { ...said, ...heard }));
  stream.end(body);
  const whole = Buffer.concat(await stream.toArray() as Buffer[]);
  const { ':status': status, ...rest } = said;
  // toEqual would compare what Node marks with symbols.
  return { status: Number(status), headers: Object.fromEntries(Object.entries(rest)), body: whole };
}

async function overHttp1(headers: http.OutgoingHttpHeaders, body: Buffer): Promise<Whole> {
  const request = http.request(server.url + GET_PRODUCT, { method: 'POST', headers });
  request.end(body);
  const [response] = await once(request, 'response') as [http.IncomingMessage];
  const whole = Buffer.concat(await response.toArray() as Buffer[]);
  return { status: response.statusCode, headers: { ...response.headers, ...response.trailers }, body: whole };
}
