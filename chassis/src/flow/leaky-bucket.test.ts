import { afterEach, expect, test, vi } from 'vitest';
import { leakyBucket } from './leaky-bucket.ts';

afterEach(() => vi.useRealTimers());

test('so much at once, then so much a second, however much was refused meanwhile', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const isTooMany = leakyBucket(2, 10);
  expect([isTooMany(), isTooMany(), isTooMany()]).toEqual([false, false, true]);
  for (let i = 0; i < 1_000; i += 1) expect(isTooMany()).toBe(true);
  vi.advanceTimersByTime(300);
  expect([isTooMany(), isTooMany(), isTooMany()]).toEqual([false, false, true]);
});
