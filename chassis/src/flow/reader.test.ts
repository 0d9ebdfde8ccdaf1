import { expect, test } from 'vitest';
import { createReader, readAll } from './reader.ts';

/** Knows what is said to it; remembers what it was asked for. */
function shelf(known: Record<string, string>) {
  const asked: string[][] = [];
  const read = createReader('shelf', async (keys) => {
    asked.push(keys);
    return new Map(Object.entries(known));
  });
  return { asked, read, known };
}

test('who reads at the same time shares a statement, and each gets his own', async () => {
  const { asked, read } = shelf({ a: 'A', b: 'B' });
  expect(await Promise.all([read('a'), read('b'), read('a'), read('none')])).toEqual(['A', 'B', 'A', undefined]);
  expect(asked).toEqual([['a', 'b', 'none']]);
});

test('several are answered in the order that was asked for, each once, without those that there are not', async () => {
  const { read } = shelf({ a: 'A', b: 'B' });
  expect(await readAll(read, ['b', 'none', 'a', 'b'])).toEqual(['B', 'A']);
});

test('nobody is told what was before he asked', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let version = 1;
  const read = createReader('slow', async (keys) => {
    const seen = version;
    if (seen === 1) await promise;
    return new Map(keys.map((key) => [key, seen]));
  });
  const early = read('a');
  await new Promise(setImmediate);
  version = 2;
  const late = read('a');
  resolve();
  expect([await early, await late]).toEqual([1, 2]);
});

test('a failure reaches all who wait for it, and none after them', async () => {
  let fails = true;
  const read = createReader('broken', async (keys) => {
    if (fails) throw new Error('away');
    return new Map(keys.map((key) => [key, key]));
  });
  expect(await Promise.allSettled([read('a'), read('b')])).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }]);
  fails = false;
  expect(await read('a')).toBe('a');
});
