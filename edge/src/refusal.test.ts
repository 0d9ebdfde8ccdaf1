import { ConnectError } from '@connectrpc/connect';
import { errorFromJsonBytes, endStreamFromJson } from '@connectrpc/connect/protocol-connect';
import { findTrailerError } from '@connectrpc/connect/protocol-grpc';
import { trailerParse } from '@connectrpc/connect/protocol-grpc-web';
import { errorInfo, refuse, retryAfter, toConnectError } from '@millrace/chassis/api/errors';
import { expect, test } from 'vitest';
import type { Protocol } from './protocol.ts';
import { toAnswer } from './refusal.ts';

const refusal = toConnectError(refuse('RATE_LIMITED', 'too many calls', { limit: '5' }, 1_500));

// Each reads the answer as a client of that protocol does.
const readers: [Protocol, string, number, (answer: ReturnType<typeof toAnswer>) => ConnectError | undefined][] = [
  ['connect', 'application/proto', 429, ({ body }) => errorFromJsonBytes(body ?? new Uint8Array(), undefined, new ConnectError('unreadable'))],
  ['connect-get', 'application/json', 429, ({ body }) => errorFromJsonBytes(body ?? new Uint8Array(), undefined, new ConnectError('unreadable'))],
  ['connect-stream', 'application/connect+proto', 200, ({ body }) => endStreamFromJson(framed(body, 2)).error],
  ['grpc', 'application/grpc', 200, ({ headers }) => findTrailerError(new Headers(headers as Record<string, string>))],
  ['grpc-web', 'application/grpc-web+proto', 200, ({ body }) => findTrailerError(trailerParse(framed(body, 0x80)))],
  ['grpc-web', 'application/grpc-web-text', 200, ({ body }) => findTrailerError(trailerParse(framed(Buffer.from(Buffer.from(body ?? []).toString(), 'base64'), 0x80)))],
];

test.each(readers)('a refusal in %s (%s) arrives with code, reason, metadata and pause', (protocol, contentType, status, read) => {
  const answer = toAnswer({ protocol, contentType }, refusal);
  expect(answer.status).toBe(status);
  const error = read(answer);
  expect(error?.code).toBe(refusal.code);
  expect(errorInfo(error)).toEqual({ reason: 'RATE_LIMITED', metadata: { limit: '5' } });
  expect(retryAfter(error)).toBe(1_500);
});

test('gRPC hears of a refusal without a body, as its clients want it', () => {
  expect(toAnswer({ protocol: 'grpc', contentType: 'application/grpc' }, refusal).body).toBeUndefined();
});

function framed(body: Uint8Array | undefined, flag: number): Uint8Array {
  if (body?.[0] !== flag) throw new Error(`flag ${body?.[0]}`);
  expect(Buffer.from(body).readUInt32BE(1)).toBe(body.length - 5);
  return body.subarray(5);
}
