import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { InFlight } from './in-flight.ts';

test('knows what is under way, in whatever order it comes and goes', () => {
  const flying = new InFlight<string>();
  const [a, b, c] = ['a', 'b', 'c'].map((name) => flying.add(name)) as [() => void, () => void, () => void];
  a();
  expect([...flying].sort()).toEqual(['b', 'c']);
  a();
  c();
  expect([...flying]).toEqual(['b']);
  const d = flying.add('d');
  b();
  d();
  expect([...flying]).toEqual([]);
});

test('what comes and goes while it is looked through is not seen', () => {
  const flying = new InFlight<string>();
  const [a] = ['a', 'b'].map((name) => flying.add(name)) as [() => void];
  const seen: string[] = [];
  for (const name of flying) {
    a();
    flying.add('c');
    seen.push(name);
  }
  expect(seen).toEqual(['a', 'b']);
});

test('keeps nothing of what has gone: with a Set, each of these would wait for a major collection', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: { type: 'minor' | 'major' }) => void;
  const [things, bytesEach, atOnce] = [4_000, 4_000, 64];
  const flying = new InFlight<unknown[]>();
  const leave: (() => void)[] = [];
  const pass = () => {
    for (let i = 0; i < things; i += 1) {
      leave.push(flying.add(Array.from({ length: bytesEach / 8 }, () => i)));
      if (leave.length > atOnce) leave.shift()?.();
      if (i % 400 === 0) collect({ type: 'minor' });
    }
  };
  pass();
  collect({ type: 'major' });
  const before = oldBytes();
  pass();
  expect(oldBytes() - before).toBeLessThan((things * bytesEach) / 5);
});

function oldBytes(): number {
  return getHeapSpaceStatistics().reduce((sum, { space_name, space_used_size }) => sum + (space_name === 'old_space' ? space_used_size : 0), 0);
}
