import { expect, test } from 'vitest';
import { ACCEPTED, speechOf } from './protocol.ts';

test.each([
  ['application/json', 'connect'],
  ['application/json; charset=utf-8', 'connect'],
  ['application/proto', 'connect'],
  ['application/connect+json', 'connect-stream'],
  ['application/connect+proto', 'connect-stream'],
  ['application/grpc', 'grpc'],
  ['application/grpc+proto', 'grpc'],
  ['application/grpc+json', 'grpc'],
  ['application/grpc-web', 'grpc-web'],
  ['application/grpc-web+proto', 'grpc-web'],
  ['application/grpc-web-text+proto', 'grpc-web'],
])('POST with %s is %s', (contentType, protocol) => {
  expect(speechOf('POST', contentType, '')).toEqual({ protocol, contentType });
});

test.each([['text/plain'], ['application/jsonp'], ['application/grpcx'], ['multipart/form-data'], [''], ['a'.repeat(100_000)]])('POST with %.30s is none of the protocols', (contentType) => {
  expect(speechOf('POST', contentType, '')).toBeUndefined();
});

test('GET is Connect when it brings a message', () => {
  expect(speechOf('GET', undefined, 'connect=v1&encoding=json&message=%7B%7D')?.protocol).toBe('connect-get');
  expect(speechOf('GET', 'application/json', 'a=b')).toBeUndefined();
});

test('other methods are none of the protocols, whatever they bring', () => {
  expect(speechOf('PUT', 'application/grpc', '')).toBeUndefined();
});

test('every content type that is offered is taken', () => {
  expect(ACCEPTED.split(', ').filter((contentType) => !speechOf('POST', contentType, ''))).toEqual([]);
});
