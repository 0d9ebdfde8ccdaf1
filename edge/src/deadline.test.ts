import { DEADLINES } from '@millrace/chassis/api/deadline';
import { expect, test } from 'vitest';
import { deadlineOf } from './deadline.ts';

const { unaryMs, serverStreamMs } = DEADLINES;

test.each([
  ['connect', true, {}, unaryMs],
  ['connect', true, { 'connect-timeout-ms': '1500' }, 1_500],
  ['connect', true, { 'connect-timeout-ms': '9999999999' }, unaryMs],
  ['connect', true, { 'connect-timeout-ms': 'soon' }, unaryMs],
  ['connect-get', true, { 'connect-timeout-ms': '20' }, 20],
  ['connect-stream', false, {}, serverStreamMs],
  ['grpc', true, { 'grpc-timeout': '2S' }, 2_000],
  ['grpc', true, { 'grpc-timeout': '10H' }, unaryMs],
  ['grpc', true, { 'grpc-timeout': '1500u', 'connect-timeout-ms': '9' }, 1.5],
  ['grpc-web', false, { 'grpc-timeout': '10M' }, 600_000],
] as const)('%s, unary %s, with %o has %d ms', (protocol, unary, headers, ms) => {
  expect(deadlineOf(protocol, unary, { ...headers })).toBe(ms);
});
