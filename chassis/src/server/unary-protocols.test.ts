import { create } from '@bufbuild/protobuf';
import { GetProductRequestSchema } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { describe, expect, it } from 'vitest';
import { unaryProtocolOf } from './unary-protocols.ts';

const TYPES: [contentType: string, name: string][] = [
  ['application/proto', 'connect'],
  ['application/json', 'connect'],
  ['application/json; charset=utf-8', 'connect'],
  ['application/grpc', 'grpc'],
  ['application/grpc+proto', 'grpc'],
  ['application/grpc-web', 'grpc-web'],
  ['application/grpc-web+proto', 'grpc-web'],
];

describe.each(TYPES)('%s', (contentType, name) => {
  const isConnect = name === 'connect';
  const timeout = isConnect ? 'connect-timeout-ms' : 'grpc-timeout';
  const encoding = isConnect ? 'content-encoding' : 'grpc-encoding';
  const headers = { 'content-type': contentType };

  it('is known, and has no deadline of its own', () => {
    expect(unaryProtocolOf(headers)?.name).toBe(name);
    expect(unaryProtocolOf(headers)?.timeoutOf(headers)).toBe(Infinity);
  });

  it('says how long the caller waits', () => {
    const sent = { ...headers, [timeout]: isConnect ? '1500' : '1500m' };
    expect(unaryProtocolOf(sent)?.timeoutOf(sent)).toBe(1_500);
  });

  it.each<[string, Record<string, string>]>([
    ['packed', { [encoding]: 'gzip' }],
    ['that waits to be told to go on', { expect: '100-continue' }],
    ['with a deadline that nobody understands', { [timeout]: 'soon' }],
    ['whose deadline has passed', { [timeout]: isConnect ? '0' : '0S' }],
  ])('is left to connect-es when it is one %s', (_title, more) => {
    expect(unaryProtocolOf({ ...headers, ...more })).toBeUndefined();
  });

  it('may say that it is not packed', () => {
    expect(unaryProtocolOf({ ...headers, [encoding]: 'identity' })?.name).toBe(name);
  });
});

it.each(['text/html', 'application/grpc+json', 'application/grpc-web-text', 'application/connect+proto', '__proto__', undefined])('%s is left to connect-es', (contentType) => {
  expect(unaryProtocolOf({ 'content-type': contentType })).toBeUndefined();
});

it('of another version is left to connect-es', () => {
  expect(unaryProtocolOf({ 'content-type': 'application/proto', 'connect-protocol-version': '2' })).toBeUndefined();
});

describe('a gRPC message', () => {
  const protocol = unaryProtocolOf({ 'content-type': 'application/grpc' });
  // Field 1, "MUG".
  const message = Buffer.from([0x0a, 3, 0x4d, 0x55, 0x47]);
  const prefix = (flags: number, length: number) => Buffer.from([flags, 0, 0, 0, length]);

  it('stands after its length', () => {
    expect(protocol?.read(GetProductRequestSchema, Buffer.concat([prefix(0, 5), message]))).toEqual(create(GetProductRequestSchema, { sku: 'MUG' }));
  });

  it.each([
    ['none', Buffer.alloc(0)],
    ['half a length', prefix(0, 5).subarray(0, 4)],
    ['half of it', Buffer.concat([prefix(0, 5), message.subarray(1)])],
    ['two of them', Buffer.concat([prefix(0, 5), message, prefix(0, 5), message])],
    ['a packed one', Buffer.concat([prefix(1, 5), message])],
  ])('is refused when there is %s', (_title, body) => {
    expect(() => protocol?.read(GetProductRequestSchema, body)).toThrow(expect.objectContaining({ reason: 'MALFORMED_MESSAGE' }));
  });
});
