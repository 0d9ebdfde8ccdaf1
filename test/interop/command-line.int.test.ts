// curl and buf curl: what an engineer types.
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type House, SKU, openHouse } from './stubs.ts';

const run = promisify(execFile);
const BUF = path.resolve(import.meta.dirname, '../../node_modules/.bin/buf');
const PROTO = path.resolve(import.meta.dirname, '../..');
const CALL_MS = 20_000;

let house: House;
beforeAll(async () => { house = await openHouse(); });
afterAll(async () => { await house[Symbol.asyncDispose](); });

type Result = { code: number; stdout: string; stderr: string };

async function command(file: string, args: string[], input = ''): Promise<Result> {
  const child = run(file, args, { timeout: CALL_MS });
  child.child.stdin?.end(input);
  return child.then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
}

const curl = (...args: string[]) => command('curl', ['-sS', ...args]);
const json = ['-H', 'content-type: application/json'];
const signedIn = () => ['-H', `authorization: Bearer ${house.token}`];
const url = (rpc: string) => `${house.url}/millrace.${rpc}`;

describe.each([['HTTP/1.1', '--http1.1'], ['HTTP/2', '--http2-prior-knowledge']])('curl over %s', (_, version) => {
  test('a call is a POST of JSON', async () => {
    const { stdout } = await curl(version, ...json, ...signedIn(), '-d', '{"sku":"mug"}', url('product.v1.ProductService/GetProduct'));
    expect(JSON.parse(stdout)).toMatchObject({ product: { sku: 'mug' } });
  });

  test('a read may be a GET', async () => {
    const query = new URLSearchParams({ connect: 'v1', encoding: 'json', message: '{"sku":"mug"}' });
    const { stdout } = await curl(version, ...signedIn(), `${url('product.v1.ProductService/GetProduct')}?${query.toString()}`);
    expect(JSON.parse(stdout)).toMatchObject({ product: { sku: 'mug' } });
  });

  test('an error is JSON with its reason', async () => {
    const { stdout } = await curl(version, ...json, ...signedIn(), '-w', '\n%{http_code}', '-d', `{"sku":"${SKU.unknown}"}`, url('product.v1.ProductService/GetProduct'));
    const [body = '', status] = stdout.split('\n');
    expect(status).toBe('404');
    expect(JSON.parse(body)).toMatchObject({ code: 'not_found', message: 'there is no such product' });
  });

  test('no token is 401, in JSON', async () => {
    const { stdout } = await curl(version, ...json, '-w', '\n%{http_code}', '-d', '{}', url('product.v1.ProductService/GetProduct'));
    expect(stdout.split('\n')[1]).toBe('401');
    expect(JSON.parse(stdout.split('\n')[0] ?? '')).toMatchObject({ code: 'unauthenticated' });
  });

  test('expecting 100-continue gets it', async () => {
    const { stdout } = await curl(version, ...json, ...signedIn(), '-H', 'expect: 100-continue', '-d', `{"sku":"mug"${' '.repeat(100_000)}}`, url('product.v1.ProductService/GetProduct'));
    expect(JSON.parse(stdout)).toMatchObject({ product: { sku: 'mug' } });
  });
});

const buf = (protocol: string, ...args: string[]) => command(BUF, ['curl', '--protocol', protocol, ...signedIn(), ...args]);

describe.each(['grpc', 'grpcweb', 'connect'])('buf curl, protocol %s, with reflection', (protocol) => {
  test('lists services', async () => {
    const { stdout } = await buf(protocol, '--http2-prior-knowledge', '--list-services', house.url);
    expect(stdout.split('\n')).toContain('millrace.order.v1.OrderService');
  });

  test('makes a call', async () => {
    const { stdout, stderr } = await buf(protocol, '--http2-prior-knowledge', '-d', '{"sku":"mug"}', url('product.v1.ProductService/GetProduct'));
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ product: { sku: 'mug', price: { currencyCode: 'EUR', minorUnits: '1999' } } });
  });

  test('shows an error with its details', async () => {
    const { code, stderr } = await buf(protocol, '--http2-prior-knowledge', '-d', `{"sku":"${SKU.unknown}"}`, url('product.v1.ProductService/GetProduct'));
    expect(code).not.toBe(0);
    expect(JSON.parse(stderr)).toMatchObject({ code: 'not_found', details: [{ type: 'google.rpc.ErrorInfo' }, { type: 'google.rpc.RetryInfo' }] });
  });
});

// Reflection is a stream in both directions, which HTTP/1.1 does not have: the schema comes from the sources.
test.each(['grpcweb', 'connect'])('buf curl, protocol %s, over HTTP/1.1 with the sources', async (protocol) => {
  const { stdout } = await buf(protocol, '--schema', PROTO, '-d', '{"sku":"mug"}', url('product.v1.ProductService/GetProduct'));
  expect(JSON.parse(stdout)).toMatchObject({ product: { sku: 'mug' } });
});
