import { expect, test } from 'vitest';
import { isNewEnough } from './nats-binary.ts';

test.each([['v2.12.0', true], ['v2.15.1', true], ['3.0.0', true], ['v2.11.9', false], ['v2.9.10', false], ['v1.99.0', false]])('nats-server %s is new enough: %s', (version, enough) => {
  expect(isNewEnough(version)).toBe(enough);
});
