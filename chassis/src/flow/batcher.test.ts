import { expect, test } from 'vitest';
import { createBatcher } from './batcher.ts';

const options = { name: 'test', lanes: 1, max: 10, queueLimit: 100 };

/** A run that is released by hand, and the batches it saw. */
function gated() {
  const batches: number[][] = [];
  const gates: (() => void)[] = [];
  const run = async (items: number[]) => {
    batches.push(items);
    await new Promise<void>((resolve) => gates.push(resolve));
    return items.map((item) => item * 2);
  };
  const open = async () => {
    while (gates.length === 0) await new Promise((resolve) => setImmediate(resolve));
    gates.shift()?.();
  };
  return { batches, run, open };
}

test('items of one event-loop turn travel together', async () => {
  const { batches, run, open } = gated();
  const double = createBatcher(options, run);
  const results = Promise.all([double(1), double(2), double(3)]);
  await open();
  expect(await results).toEqual([2, 4, 6]);
  expect(batches).toEqual([[1, 2, 3]]);
});

test('while one batch is in flight the next one gathers', async () => {
  const { batches, run, open } = gated();
  const double = createBatcher(options, run);
  const first = double(1);
  while (batches.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const rest = Promise.all([double(2), double(3)]);
  await open();
  await open();
  expect([await first, ...(await rest)]).toEqual([2, 4, 6]);
  expect(batches).toEqual([[1], [2, 3]]);
});

test('a paced batch leaves at once after a pause, else when it is time or it is full', async () => {
  const batches: number[][] = [];
  const paced = createBatcher({ ...options, max: 3, paceMs: 60_000 }, async (items: number[]) => {
    batches.push(items);
    return items;
  });
  expect(await paced(1)).toBe(1);
  expect(await Promise.all([paced(2), paced(3), paced(4)])).toEqual([2, 3, 4]);
  const brisk = createBatcher({ ...options, paceMs: 20 }, async (items: number[]) => items.map(() => performance.now()));
  const [first, second] = [await brisk(1), await brisk(2)];
  expect(second - first).toBeGreaterThanOrEqual(19);
  expect(batches).toEqual([[1], [2, 3, 4]]);
});

test('a batch is never larger than its maximum', async () => {
  const sizes: number[] = [];
  const identity = createBatcher({ ...options, max: 2 }, async (items: number[]) => {
    sizes.push(items.length);
    return items;
  });
  await Promise.all([1, 2, 3, 4, 5].map(identity));
  expect(sizes).toEqual([2, 2, 1]);
});

test('an item can fail alone', async () => {
  const check = createBatcher(options, async (items: number[]) => items.map((item) => (item === 2 ? new Error('two') : item)));
  const results = await Promise.allSettled([check(1), check(2), check(3)]);
  expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('when a batch throws, its items are run one by one', async () => {
  const check = createBatcher(options, async (items: number[]) => {
    if (items.includes(2)) throw new Error('two is poison');
    return items;
  });
  const results = await Promise.allSettled([check(1), check(2), check(3)]);
  expect(results).toMatchObject([{ value: 1 }, { reason: { message: 'two is poison' } }, { value: 3 }]);
});

test('a full queue refuses with a time to come back', async () => {
  const { run, open } = gated();
  const double = createBatcher({ ...options, max: 1, queueLimit: 2 }, run);
  const taken = [double(1), double(2)];
  await expect(double(3)).rejects.toMatchObject({ reason: 'OVERLOADED', retryAfterMs: expect.any(Number) });
  await open();
  await open();
  expect(await Promise.all(taken)).toEqual([2, 4]);
});

test('a run that forgets a result fails that item instead of leaving it waiting', async () => {
  const forgetful = createBatcher(options, async (items: number[]) => items.slice(1));
  const results = await Promise.allSettled([forgetful(1), forgetful(2)]);
  expect(results[1]?.status).toBe('rejected');
});
