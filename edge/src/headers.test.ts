import { expect, test } from 'vitest';
import { identify, inwardHeaders, outwardHeaders } from './headers.ts';

test('what is for one hop or for us alone does not travel on', () => {
  const kept: object = inwardHeaders({
    ':path': '/', host: 'shop.example', connection: 'close, X-Mine', 'x-mine': '1', te: 'trailers', 'transfer-encoding': 'chunked', expect: '100-continue',
    'x-forwarded-for': '1.2.3.4', 'x-millrace-subject': 'admin', 'millrace-service': 'order', 'proxy-authorization': 'x',
    authorization: 'Bearer t', 'content-type': 'application/proto', 'stripe-signature': 't=1',
  });
  expect(kept).toEqual({ authorization: 'Bearer t', 'content-type': 'application/proto', 'stripe-signature': 't=1' });
});

test('answers lose their pseudo headers and nothing else of theirs', () => {
  const kept: object = outwardHeaders({ ':status': '200', 'grpc-status': '0', 'x-own': '1', connection: 'close' });
  expect(kept).toEqual({ 'grpc-status': '0', 'x-own': '1' });
});

test('a request id that is sane is kept, any other replaced', () => {
  expect(identify({ 'x-request-id': 'abc-1' })).toBe('abc-1');
  for (const sent of ['a b', 'x'.repeat(65), '', '<script>']) expect(identify({ 'x-request-id': sent })).toMatch(/^[0-9a-f]{32}$/);
});

test('a call without a trace begins one', () => {
  const known = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const kept = { traceparent: known };
  identify(kept);
  expect(kept.traceparent).toBe(known);
  const begun: Record<string, string> = { traceparent: 'nonsense' };
  identify(begun);
  expect(begun['traceparent']).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
});

test('no two calls get the same id', () => {
  const ids = new Set(Array.from({ length: 5_000 }, () => identify({})));
  expect(ids.size).toBe(5_000);
});
