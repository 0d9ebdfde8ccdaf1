import { once } from 'node:events';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type Client, Code, type Transport, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import * as grpc from '@grpc/grpc-js';
import { ViolationsSchema } from '@millrace/gen/buf/validate/validate_pb.js';
import { GetProductRequestSchema, GetProductResponseSchema, ImportProductsRequestSchema, ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { SignJWT, generateKeyPair } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GET_PRODUCT, failure, openSession, raw, rest } from '../../test/callers.ts';
import { type Stub, startStub } from '../../test/stub-server.ts';
import { callerOf } from '../api/auth.ts';
import { errorInfo, refuse, retryAfter } from '../api/errors.ts';
import { validate, warmUpValidation } from '../api/validation.ts';

const LIMIT_MS = 1_000;

let server: Stub;
let deadlineSeen: number | undefined;
let calls = 0;
beforeAll(async () => {
  warmUpValidation([ProductService]);
  server = await startStub(
    {
      getProduct({ sku }, context) {
        calls += 1;
        deadlineSeen = context.timeoutMs();
        if (sku === 'BROKEN') throw new Error('relation "products" does not exist');
        if (sku === 'BUSY') throw refuse('OVERLOADED', 'too busy', undefined, 1_500);
        return { product: { sku, name: callerOf(context).subject, description: 'x'.repeat(sku === 'LONG' ? 5_000 : 0) } };
      },
      listProducts: () => ({ nextPageToken: 'next' }),
      batchGetProducts: async () => new Promise(() => {}), // never answers and looks at no signal
      async importProducts(requests) {
        const count = { created: 0, failed: 0 };
        for await (const request of requests) {
          try {
            validate(ImportProductsRequestSchema, request);
            count.created += 1;
          } catch {
            count.failed += 1;
          }
        }
        return count;
      },
    },
    { limits: { unaryMs: LIMIT_MS } },
  );
});
afterAll(async () => server.stop(0));

const TRANSPORTS: [string, () => Transport][] = [
  ['Connect over HTTP/1.1', () => createConnectTransport({ httpVersion: '1.1', baseUrl: server.url })],
  ['Connect over h2c', () => createConnectTransport({ httpVersion: '2', baseUrl: server.url })],
  ['Connect with JSON', () => createConnectTransport({ httpVersion: '2', baseUrl: server.url, useBinaryFormat: false })],
  ['Connect by GET', () => createConnectTransport({ httpVersion: '1.1', baseUrl: server.url, useHttpGet: true })],
  ['gRPC', () => createGrpcTransport({ baseUrl: server.url })],
  ['gRPC-Web over HTTP/1.1', () => createGrpcWebTransport({ httpVersion: '1.1', baseUrl: server.url })],
  ['gRPC-Web over h2c', () => createGrpcWebTransport({ httpVersion: '2', baseUrl: server.url })],
];

describe.each(TRANSPORTS)('%s', (_name, transport) => {
  let client: Client<typeof ProductService>;
  beforeAll(() => {
    client = createClient(ProductService, transport());
  });

  it('is served on the one port', async () => {
    const { product } = await client.getProduct({ sku: 'MUG' }, server.authorized());
    expect(product).toMatchObject({ sku: 'MUG', name: 'ann' });
  });

  it('may send an empty message', async () => {
    expect((await client.listProducts({}, server.authorized())).nextPageToken).toBe('next');
  });

  it('gets long answers whole', async () => {
    const { product } = await client.getProduct({ sku: 'LONG' }, server.authorized());
    expect(product?.description).toHaveLength(5_000);
  });

  it('is told which field is wrong, with the violations', async () => {
    const error = await failure(client.getProduct({ sku: 'no spaces' }, server.authorized()));
    expect([error.code, errorInfo(error)]).toEqual([Code.InvalidArgument, { reason: 'INVALID_FIELD', metadata: { field: 'sku', rule: 'string.pattern' } }]);
    expect(error.findDetails(ViolationsSchema)[0]?.violations[0]?.ruleId).toBe('string.pattern');
  });

  it('gets reason and RetryInfo of a refusal', async () => {
    const error = await failure(client.getProduct({ sku: 'BUSY' }, server.authorized()));
    expect([error.code, errorInfo(error)?.reason, retryAfter(error)]).toEqual([Code.Unavailable, 'OVERLOADED', 1_500]);
  });

  it('learns nothing of a fault of ours, and the log everything', async () => {
    const error = await failure(client.getProduct({ sku: 'BROKEN' }, server.authorized({ 'x-request-id': `broken-${_name.length}` })));
    expect([error.code, error.rawMessage]).toEqual([Code.Internal, 'internal error']);
    const logged = server.lines.filter((line) => line.request_id === `broken-${_name.length}`);
    expect(logged).toMatchObject(expect.arrayContaining([expect.objectContaining({ level: 'error', err: expect.objectContaining({ message: 'relation "products" does not exist' }) }), expect.objectContaining({ level: 'warn', code: 'internal' })]));
  });

  it('is refused without a token, before the handler', async () => {
    const before = calls;
    const error = await failure(client.getProduct({ sku: 'MUG' }));
    expect([error.code, errorInfo(error)?.reason, calls]).toEqual([Code.Unauthenticated, 'UNAUTHENTICATED', before]);
  });

  it('is refused what its role may not do', async () => {
    const token = await server.keys.token('bob', 'buyer');
    const error = await failure(client.createProduct({ product: { sku: 'X' } }, { headers: { authorization: `Bearer ${token}` } }));
    expect([error.code, errorInfo(error)?.reason]).toEqual([Code.PermissionDenied, 'PERMISSION_DENIED']);
  });

  it('hears of its deadline even from a handler that ignores it', async () => {
    // The caller asks for less than the server's limit, or for much more.
    const late = await failure(client.batchGetProducts({ skus: ['A'] }, { ...server.authorized(), timeoutMs: 50 }));
    const capped = await failure(client.batchGetProducts({ skus: ['A'] }, { ...server.authorized(), timeoutMs: 60_000 }));
    expect([late.code, capped.code, errorInfo(capped)?.reason]).toEqual([Code.DeadlineExceeded, Code.DeadlineExceeded, 'DEADLINE_EXCEEDED']);
  });

  it('has a deadline without asking for one', async () => {
    await client.getProduct({ sku: 'MUG' }, server.authorized());
    expect(deadlineSeen).toBeGreaterThan(LIMIT_MS / 2);
    expect(deadlineSeen).toBeLessThanOrEqual(LIMIT_MS);
  });

  it('is told that an RPC without handler is unimplemented', async () => {
    const error = await failure(client.updateProduct({ product: { sku: 'A' }, updateMask: { paths: ['name'] } }, server.authorized()));
    expect(error.code).toBe(Code.Unimplemented);
  });
});

describe('a caller that waits to be told to go on', () => {
  it('is told over HTTP/2, also where the usual call is taken as it is', async () => {
    await using caller = openSession(server.url);
    const stream = caller.session.request({ ':method': 'POST', ':path': GET_PRODUCT, 'content-type': 'application/proto', expect: '100-continue', ...server.authorized().headers });
    await once(stream, 'continue');
    stream.end(toBinary(GetProductRequestSchema, create(GetProductRequestSchema, { sku: 'MUG' })));
    const body = Buffer.concat(await stream.toArray() as Buffer[]);
    expect(fromBinary(GetProductResponseSchema, body).product?.sku).toBe('MUG');
  });
});

describe('an upload', () => {
  it('is judged by its handler, message by message, so that one bad one does not end it', async () => {
    const client = createClient(ProductService, createGrpcTransport({ baseUrl: server.url }));
    async function* products(skus: string[]) {
      for (const sku of skus) yield { product: { sku } };
    }
    expect(await client.importProducts(products(['A', 'not good', 'B']), server.authorized())).toMatchObject({ created: 2, failed: 1 });
  });
});

describe('grpc-js', () => {
  it('is served, trailers and rich errors included', async () => {
    const client = new grpc.Client(server.url.replace('http://', ''), grpc.credentials.createInsecure());
    const metadata = new grpc.Metadata();
    metadata.set('authorization', `Bearer ${server.token}`);
    const call = async (sku: string): Promise<unknown> =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          GET_PRODUCT,
          (message: { sku: string }) => Buffer.from(toBinary(GetProductRequestSchema, create(GetProductRequestSchema, message))),
          (bytes) => fromBinary(GetProductResponseSchema, bytes),
          { sku },
          metadata,
          (error, answer) => (error ? reject(error) : resolve(answer)),
        );
      });
    expect(await call('MUG')).toMatchObject({ product: { sku: 'MUG' } });
    await expect(call('BUSY')).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE, details: 'too busy' });
    client.close();
  });
});

describe('a token', () => {
  it.each<[string, () => Promise<string>]>([
    ['expired', async () => server.keys.token('ann', 'admin', { expires: '-1s' })],
    ['of another issuer', async () => server.keys.token('ann', 'admin', { issuer: 'else' })],
    ['of another algorithm', async () => new SignJWT({ role: 'admin' }).setProtectedHeader({ alg: 'HS256' }).setSubject('ann').setIssuer('millrace').setExpirationTime('1h').sign(new TextEncoder().encode('x'.repeat(32)))],
    ['of another key', async () => new SignJWT({ role: 'admin' }).setProtectedHeader({ alg: 'EdDSA', kid: 'test' }).setSubject('ann').setIssuer('millrace').setExpirationTime('1h').sign((await generateKeyPair('EdDSA')).privateKey)],
    ['of no known role', async () => server.keys.token('ann', 'root' as 'admin')],
  ])('that is %s is refused', async (_title, token) => {
    const error = await failure(rest(server, '{"sku":"MUG"}', { authorization: `Bearer ${await token()}` }));
    expect(error.code).toBe(Code.Unauthenticated);
  });

  it('never gets into the log', () => {
    expect(server.lines.length).toBeGreaterThan(10);
    expect(JSON.stringify(server.lines)).not.toContain(server.token.split('.')[2]);
  });
});

describe('connections', () => {
  it('are limited, and the longest silent ones make room', async () => {
    await using small = await startStub({}, { limits: { maxConnections: 3 } });
    const silent = Array.from({ length: 3 }, async () => raw(small.port, ''));
    expect((await fetch(`${small.url}/healthz`)).status).toBe(200);
    await small.stop(0);
    expect(await Promise.all(silent)).toEqual(['', '', '']);
  });
});
