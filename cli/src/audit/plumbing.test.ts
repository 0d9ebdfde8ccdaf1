// What the checks stand on: merging, sets of ids, the tally.
import { expect, test } from 'vitest';
import { createIdCollector, has, idOf, missing, repeated, uuidsOf } from './ids.ts';
import { type Keyed, mergeByKey, sortedLines } from './merge.ts';
import { messageKey } from './provider.ts';
import { createTally, rowsOf } from './report.ts';

async function* batches<T>(...all: Keyed<T>[][]): AsyncGenerator<Keyed<T>[]> {
  yield* all;
}

test('a merge meets every key once, in order, with all values of each input, over the borders of batches', async () => {
  const seen: unknown[] = [];
  await mergeByKey(
    {
      left: batches([{ key: 'a', value: 1 }], [], [{ key: 'b', value: 2 }, { key: 'b', value: 3 }], [{ key: 'b', value: 4 }]),
      right: batches<string>([{ key: 'b', value: 'x' }, { key: 'c', value: 'y' }]),
      none: batches<number>(),
    },
    (key, { left, right, none }) => void seen.push([key, left, right, none]),
  );
  expect(seen).toEqual([['a', [1], [], []], ['b', [2, 3, 4], ['x'], []], ['c', [], ['y'], []]]);
});

test('a merge ends its inputs when one of them fails', async () => {
  let ended = false;
  async function* endless() {
    try {
      for (let i = 0; ; i += 1) yield [{ key: String(i).padStart(9, '0'), value: i }];
    } finally {
      ended = true;
    }
  }
  // oxlint-disable-next-line require-yield
  async function* broken(): AsyncGenerator<Keyed<number>[]> {
    throw new Error('away');
  }
  await expect(mergeByKey({ endless: endless(), broken: broken() }, () => {})).rejects.toThrow('away');
  expect(ended).toBe(true);
});

test('lines are sorted by their key as the databases sort theirs', async () => {
  const keys: string[] = [];
  for await (const batch of sortedLines(['ord_b 2', 'ord_a/x 1', 'ord_a 1', 'ord_B 3'])) keys.push(...batch.map(({ key }) => key));
  expect(keys).toEqual(['ord_B', 'ord_a', 'ord_a/x', 'ord_b']);
  expect(messageKey('ord 1', 'refund', 'email')).toBe('ord_1/refund/email');
});

test('sets of ids tell what is missing and what is there twice', () => {
  const uuids = Array.from({ length: 3_000 }, (_, i) => `${String(i).padStart(8, '0')}-89ab-4def-8000-000000000000`);
  const [all, some] = [createIdCollector(), createIdCollector()];
  for (const uuid of uuids.toReversed()) all.addUuid(uuid);
  some.addAll(Buffer.from(uuids.filter((_, i) => i !== 7).map((uuid) => uuid.replaceAll('-', '').slice(0, 16)).join(''), 'hex'));
  some.addUuid(uuids[9] as string);
  expect(missing(all.sorted(), some.sorted())).toEqual([idOf(uuids[7] as string)]);
  expect(repeated(some.sorted())).toEqual(new Set([idOf(uuids[9] as string)]));
  expect([uuids[7], uuids[9], 'ffffffff-ffff-4def-8000-000000000000'].map((uuid) => has(some.sorted(), idOf(uuid as string)))).toEqual([false, true, false]);
  expect(uuidsOf(idOf(uuids[7] as string))).toEqual(['00000007-89ab-4def-0000-000000000000', '00000007-89ab-4def-ffff-ffffffffffff']);
  expect([idOf('no uuid'), idOf('x'.repeat(36))]).toEqual(['0000000000000000', '0000000000000000']);
});

test('a tally counts all and names a few', () => {
  const [one, other] = [createTally(), createTally()];
  for (let i = 0; i < 8; i += 1) for (const tally of [one, other]) tally.violated({ invariant: 'I3', what: `${i}`, problem: 'p' });
  other.violated({ invariant: 'I13', what: 'x', problem: 'p', times: 40 });
  one.checked('I3', 5);
  one.add(other);
  const rows = rowsOf(one, new Map([['streams', 'away']]));
  expect(rows.find(({ invariant }) => invariant === 'I3')).toMatchObject({ checked: 5, violations: 16, first: { length: 10 }, without: [] });
  expect(rows.find(({ invariant }) => invariant === 'I13')).toMatchObject({ violations: 40 });
  expect(rows.find(({ invariant }) => invariant === 'I10')).toMatchObject({ without: ['streams'] });
});
