import { expect, test } from 'vitest';
import { createBulkhead } from './bulkhead.ts';

const MAX_IN_FLIGHT = 64;
const LIMITS = { most: MAX_IN_FLIGHT, waiting: 256, refusal: 'too many', retryAfterMs: 1_000 };

test('lets so many calls through at once, lets some wait their turn, and refuses the rest', async () => {
  const bulkhead = createBulkhead(LIMITS);
  const leave: (() => void)[] = [];
  let flying = 0;
  let most = 0;
  const call = () =>
    bulkhead(async () => {
      most = Math.max(most, (flying += 1));
      await new Promise<void>((resolve) => leave.push(resolve));
      flying -= 1;
    });
  const calls = Array.from({ length: MAX_IN_FLIGHT + 256 }, call);
  await expect(call()).rejects.toMatchObject({ reason: 'OVERLOADED' });
  while (leave.length > 0) {
    leave.splice(0).forEach((go) => go());
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(calls);
  expect(most).toBe(MAX_IN_FLIGHT);
  expect(flying).toBe(0);
});

test('a call that fails gives its place back', async () => {
  const bulkhead = createBulkhead(LIMITS);
  for (let i = 0; i < MAX_IN_FLIGHT * 2; i += 1) await expect(bulkhead(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await expect(bulkhead(async () => 'yes')).resolves.toBe('yes');
});
