import { expect, test } from 'vitest';
import { RECOVERY_LIMIT_MS, recovery } from './recovery.ts';

/** Orders per second from a moment on, none before. */
const backAt = (moment: number, rate: number) => ({ goodput: (from: number, to: number) => (rate * Math.max(0, to - Math.max(from, moment))) / (to - from) });
/** So long ago that nothing has to be waited for. */
const HEALED = Date.now() - 2 * RECOVERY_LIMIT_MS;

test('the way back ends with the first window that holds nine tenths of the orders', async () => {
  const { goodput, recoverMs } = await recovery(backAt(HEALED + 3_000, 12), 12, HEALED);
  expect(goodput).toBeGreaterThanOrEqual(0.9 * 12);
  expect(recoverMs).toBeGreaterThan(2_000);
  expect(recoverMs).toBeLessThanOrEqual(3_000);
});

test('a rate that stays at half is no way back', async () => {
  expect(await recovery(backAt(HEALED, 6), 12, HEALED)).toEqual({ goodput: 6, recoverMs: undefined });
});
