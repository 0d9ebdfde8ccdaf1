// What the checks stand on: merging, sets of ids, the tally.
import { expect, test } from 'vitest';
import { BUCKETS, eachKey, tagAt } from './buckets.ts';
import { withValues } from './copy.ts';
import { createIdCollector, endOf, has, idOf, missing, repeated } from './ids.ts';
import { RECORD, createLedger } from './ledger.ts';
import { type Keyed, mergeByKey, sortedLines } from './merge.ts';
import { MARK, createMessageBook } from './messages-book.ts';
import { createTally, rowsOf } from './report.ts';
import { type Hash, hashOf, signed, tagOf } from './text-hash.ts';
import { createVersionBook } from './versions.ts';

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
});

test('sets of ids tell what is missing and what is there twice', () => {
  const uuids = Array.from({ length: 3_000 }, (_, i) => `01a22002-9fff-7041-8e61-${String(i).padStart(12, '0')}`);
  const [all, some] = [createIdCollector(), createIdCollector()];
  for (const uuid of uuids.toReversed()) all.addText(uuid);
  some.addUuids(Buffer.from(uuids.filter((_, i) => i !== 7).join('').replaceAll('-', ''), 'hex'));
  some.addText(uuids[9] as string);
  expect(missing(all.sorted(), some.sorted())).toEqual([idOf(uuids[7] as string)]);
  expect(repeated(some.sorted())).toEqual(new Set([idOf(uuids[9] as string)]));
  expect([uuids[7], uuids[9], '01a22002-9fff-7041-8e61-ffffffffffff'].map((uuid) => has(some.sorted(), idOf(uuid as string)))).toEqual([false, true, false]);
  expect(endOf(idOf(uuids[7] as string))).toBe('8e61-000000000007');
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

test('messages are counted under their keys, however many, in tables that grow', () => {
  const book = createMessageBook();
  const own = { isOwn: true, isSent: true, isDoubtful: false };
  const keys = Array.from({ length: 10_000 }, (_, n) => hashOf(`ord_${n}`));
  for (const key of keys) book.row(key, own, MARK.recent);
  for (const key of keys.slice(1)) book.delivered(key, 0);
  for (let n = 0; n < 1_000; n += 1) book.delivered(keys[5] as Hash, n === 7 ? MARK.moving : 0);
  const all = new Map([...book.all()].map(({ hash, ...counted }) => [signed(hash()), counted]));
  const of = (n: number) => all.get(signed(keys[n] as Hash));
  expect(all.size).toBe(10_000);
  expect(of(0)).toEqual({ rows: 1, sent: 1, doubtful: 0, delivered: 0, moving: false, marks: 1 | MARK.recent });
  expect(of(5)).toMatchObject({ delivered: 1_001, moving: true });
  expect(of(9_999)).toMatchObject({ rows: 1, delivered: 1 });
});

test('versions are followed per aggregate, in tables that grow', () => {
  const book = createVersionBook();
  const hashes = Array.from({ length: 10_000 }, (_, n) => hashOf(`sku${n}`));
  const of = (n: number) => hashes[n] as Hash;
  for (let version = 1; version <= 3; version += 1) for (const [n, hash] of hashes.entries()) if (n !== 7 || version !== 2) book.say(hash, version);
  for (let n = 0; n < 20_000; n += 1) book.say(of(9), 2);
  expect(book.meet(of(8), 3, true)).toEqual({ back: 0, gaps: 0, first: 1, last: 3, current: 3, whole: true });
  expect(book.meet(of(7), 3, true)).toMatchObject({ gaps: 1 });
  expect(book.meet(of(9), 3, true)).toMatchObject({ back: 16_383, gaps: 0, last: 3 });
  expect(book.meet(hashOf('nobody'), 1, false)).toMatchObject({ first: undefined, last: undefined });
  expect([...book.unmet()]).toHaveLength(9_997);
  expect([...book.unmet()].map(({ hash }) => signed(hash))).toContain(signed(of(5)));
  expect(signed({ high: 0xffff_ffff, low: 0xffff_fffe })).toBe(-2n);
});

// As `SELECT hashtextextended(text, 0)` answers.
test.each([
  ['', -6939563903564495251n], ['a', 3591986179850072241n], ['abcdefghijk', 3112909444737856467n], ['abcdefghijkl', -7556637188122330412n],
  ['ord_7xvdevugdhf27mf6bo4hlv4qyox29', -6053317747954766152n], ['é€𝄞xyz€€', 5092516705770214424n], ['x'.repeat(171), -3787220779924193769n],
])('%j has the hash that Postgres has for it', (text, hash) => {
  expect(signed(hashOf(text))).toBe(hash);
});

test('what is of one order is found together, whichever side of a bucket it is on', () => {
  const row = (orderId: string, bytes: number) => {
    const found = Buffer.alloc(bytes);
    found.writeBigInt64BE(signed(hashOf(orderId)));
    return found;
  };
  const orders = ['a', 'b', 'c'].map((orderId) => row(orderId, 16));
  const steps = ['b', 'c', 'b', 'd', 'b'].map((orderId) => row(orderId, 24));
  const bucket = Buffer.concat([...orders, ...steps]);
  const found = new Map<string, number[]>();
  eachKey(bucket, [{ bytes: 16, end: 48 }, { bytes: 24, end: 168 }], (places) => found.set(tagAt(bucket, places[0] as number), [...places]));
  const placesOf = (orderId: string) => found.get(tagOf(hashOf(orderId)));
  expect(['a', 'b', 'c', 'd'].map(placesOf)).toEqual([[0], [16, 48, 96, 144], [32, 72], [120]]);
  expect(found.size).toBe(4);
});

test('a ledger gives back its records by bucket, however many', () => {
  const ledger = createLedger();
  for (let n = 0; n < 25_000; n += 1) ledger.add({ time: '', type: 'captured', orderId: `ord_${n}`, amount: n, currency: 'eur', intent: 'pi' }, n % 2 === 1);
  const bucketOf = ledger.buckets();
  const amounts: number[] = [];
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    const records = bucketOf(bucket);
    for (let at = 0; at < records.length; at += RECORD.bytes) {
      const amount = records.readDoubleBE(at + RECORD.amount);
      expect([tagAt(records, at), records.readInt32BE(at + RECORD.young)]).toEqual([tagOf(hashOf(`ord_${amount}`)), amount % 2]);
      amounts.push(amount);
    }
  }
  expect(amounts.sort((a, b) => a - b)).toEqual(Array.from({ length: 25_000 }, (_, n) => n));
});

test('values are written into a statement once, as literals', () => {
  const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
  expect(withValues(`SELECT $1::float8, $2, $3, $12`, [30, "it's $1", ['a', "b'"]], literal)).toBe(`SELECT '30'::float8, 'it''s $1', ARRAY['a', 'b''']::text[], NULL`);
});
