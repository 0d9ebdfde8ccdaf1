import { expect, test } from 'vitest';
import { createRateLimit } from './rate-limit.ts';

test('a second of calls goes at once, then each has to wait for its turn', () => {
  let now = 0;
  const limit = createRateLimit(10, () => now);
  for (let i = 0; i < 10; i += 1) expect(limit('ann')).toBe(0);
  expect(limit('ann')).toBe(100);
  now += 100;
  expect(limit('ann')).toBe(0);
  expect(limit('ann')).toBe(100);
});

test('one subject never waits for another', () => {
  const limit = createRateLimit(1, () => 0);
  expect(limit('ann')).toBe(0);
  expect(limit('ann')).toBeGreaterThan(0);
  expect(limit('bob')).toBe(0);
});

test('it remembers so many subjects and no more, and forgets the one that was idle longest', () => {
  const limit = createRateLimit(1, () => 0, 2);
  limit('ann');
  limit('bob');
  limit('ann');
  limit('cid');
  expect(limit('ann')).toBeGreaterThan(0);
  expect(limit('bob')).toBe(0);
});
