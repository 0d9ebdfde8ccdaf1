import { describe, expect, it } from 'vitest';
import { capTimeout } from './deadline.ts';

describe('a timeout in the headers', () => {
  it.each([
    ['set when there is none', {}, 'connect-timeout-ms', '30000'],
    ['kept when it is shorter', { 'connect-timeout-ms': '200' }, 'connect-timeout-ms', '200'],
    ['lowered when it is longer', { 'connect-timeout-ms': '90000' }, 'connect-timeout-ms', '30000'],
    ['left to be refused when it is none', { 'connect-timeout-ms': 'soon' }, 'connect-timeout-ms', 'soon'],
    ['set for gRPC', { 'content-type': 'application/grpc+proto' }, 'grpc-timeout', '30000m'],
    ['set for gRPC-Web', { 'content-type': 'application/grpc-web' }, 'grpc-timeout', '30000m'],
    ['kept for gRPC in seconds', { 'content-type': 'application/grpc', 'grpc-timeout': '5S' }, 'grpc-timeout', '5S'],
    ['kept for gRPC in nanoseconds', { 'content-type': 'application/grpc', 'grpc-timeout': '99999999n' }, 'grpc-timeout', '99999999n'],
    ['lowered for gRPC in hours', { 'content-type': 'application/grpc', 'grpc-timeout': '1H' }, 'grpc-timeout', '30000m'],
    ['left to be refused for gRPC', { 'content-type': 'application/grpc', 'grpc-timeout': '1x' }, 'grpc-timeout', '1x'],
  ])('is %s', (_title, headers: Record<string, string>, name, value) => {
    capTimeout(headers, 30_000);
    expect(headers[name]).toBe(value);
  });
});
