// Which events are published, whatever order transactions commit in.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Progress } from './progress.ts';

const gapsOf = (progress: Progress) => progress.gaps.map(({ first, last }) => [Number(first), Number(last)]);
const after = (...published: number[]) => {
  const progress = new Progress();
  progress.publishedNext(published.map(BigInt));
  return progress;
};

test('the mark follows what is published without gaps', () => {
  const progress = after(1, 2, 3);
  expect([progress.mark, progress.seen, gapsOf(progress)]).toEqual([3n, 3n, []]);
  progress.publishedNext([4n]);
  expect(progress.mark).toBe(4n);
});

test('the mark stays before the first gap, and passes it when it is filled', () => {
  const progress = after(1, 2, 5, 6, 8);
  expect([progress.mark, progress.seen, gapsOf(progress)]).toEqual([2n, 8n, [[3, 4], [7, 7]]]);
  progress.publishedLate([4n, 7n]);
  expect([progress.mark, gapsOf(progress)]).toEqual([2n, [[3, 3]]]);
  progress.publishedLate([3n]);
  expect([progress.mark, gapsOf(progress)]).toEqual([8n, []]);
});

test('a gap is closed only when every transaction that may have filled it has ended', () => {
  const progress = after(1, 3);
  progress.close(new Set(['a', 'b']), []);
  progress.close(new Set(['b', 'c']), []);
  expect(progress.mark).toBe(1n);
  progress.close(new Set(['c']), []);
  expect([progress.mark, gapsOf(progress)]).toEqual([3n, []]);
});

test('nobody who writes is nobody who may fill it', () => {
  const progress = after(1, 3);
  progress.close(new Set(), []);
  expect(progress.mark).toBe(3n);
});

test('what was seen in a gap at the last look is not forgotten with it', () => {
  const progress = after(1, 9);
  progress.close(new Set(), [4n, 5n]);
  expect([progress.mark, gapsOf(progress)]).toEqual([3n, [[4, 4], [5, 5]]]);
  progress.close(new Set(['later']), [4n, 5n]);
  progress.publishedLate([4n, 5n]);
  expect(progress.mark).toBe(9n);
});

test('another relay has gone on meanwhile', () => {
  const progress = after(1, 4, 9, 20);
  progress.goOnFrom(6n);
  expect([progress.mark, progress.seen, gapsOf(progress)]).toEqual([6n, 20n, [[7, 8], [10, 19]]]);
  progress.goOnFrom(30n);
  expect([progress.mark, progress.seen, gapsOf(progress)]).toEqual([30n, 30n, []]);
  progress.goOnFrom(2n);
  expect(progress.mark).toBe(30n);
});

/** Transactions take positions, then commit or not, in any order; between any two steps the relay may look, as relay.ts does. */
type Step = { begin: number } | { end: number; commits: boolean } | 'publish';
const steps = fc.array(
  fc.oneof(
    fc.record({ begin: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ end: fc.nat(9), commits: fc.boolean() }),
    fc.constant<Step>('publish'),
  ) as fc.Arbitrary<Step>,
  { maxLength: 60 },
);

test('every committed event is published, never twice by one relay, and the mark never passes one that is not', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 5 }), (all, limit) => {
      const progress = new Progress();
      const open = new Map<string, bigint[]>();
      const committed = new Set<bigint>();
      const published = new Set<bigint>();
      let [next, started] = [1n, 0];
      const publish = () => {
        const fresh = [...committed].filter((position) => position > progress.seen).sort(ascending).slice(0, limit);
        const late = [...committed].filter((position) => progress.gaps.some(({ first, last }) => position >= first && position <= last)).sort(ascending);
        progress.close(new Set(open.keys()), late);
        for (const position of [...late, ...fresh]) {
          expect(published.has(position)).toBe(false);
          published.add(position);
        }
        progress.publishedLate(late);
        progress.publishedNext(fresh);
        for (const position of committed) if (position <= progress.mark) expect(published.has(position)).toBe(true);
        for (const positions of open.values()) for (const position of positions) expect(position).toBeGreaterThan(progress.mark);
        return late.length + fresh.length;
      };
      const end = (id: string, commits: boolean) => {
        if (commits) for (const position of open.get(id) ?? []) committed.add(position);
        open.delete(id);
      };
      for (const step of all) {
        if (step === 'publish') publish();
        else if ('begin' in step) {
          open.set(String((started += 1)), Array.from({ length: step.begin }, () => next++));
        } else {
          const id = [...open.keys()][step.end % Math.max(1, open.size)];
          if (id !== undefined) end(id, step.commits);
        }
      }
      for (const id of open.keys()) end(id, true);
      while (publish() > 0);
      publish();
      expect([...published].sort(ascending)).toEqual([...committed].sort(ascending));
      expect(progress.gaps).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

const ascending = (a: bigint, b: bigint) => (a < b ? -1 : 1);
