import { expect, test } from 'vitest';
import { isAllowed, parseOrigins } from './cors.ts';

const origins = parseOrigins('https://shop.example, http://localhost:*,http://localhost') ?? [];

test.each(['https://shop.example', 'http://localhost', 'http://localhost:5173'])('%s may call', (origin) => {
  expect(isAllowed(origins, origin)).toBe(true);
});

test.each(['http://shop.example', 'https://shop.example.evil', 'https://shop.example:444', 'http://localhost:', 'http://localhost:80.evil', 'http://localhost:5173/', 'null', '', 'http://localhost.evil:80'])('%s may not', (origin) => {
  expect(isAllowed(origins, origin)).toBe(false);
});

test.each(['shop.example', 'https://shop.example/path', '*', 'https://*.example'])('"%s" is no origin', (text) => {
  expect(parseOrigins(text)).toBeUndefined();
});

test('no origins at all is a list too', () => {
  expect(parseOrigins('')).toEqual([]);
});
