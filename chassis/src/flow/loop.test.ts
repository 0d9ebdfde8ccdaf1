import { expect, test } from 'vitest';
import { createLog } from '../telemetry/log.ts';
import { createLoop, createRunner, restAfter } from './loop.ts';

const log = createLog('test', 'silent');
/** Long enough that no test ever waits for it. */
const NEVER_MS = 3_600_000;

/** Resolves when `condition` holds; the loop under test runs meanwhile. */
async function until(condition: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 10_000; !condition(); ) {
    if (performance.now() > deadline) throw new Error(`never true: ${condition.toString()}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('a loop goes on at once while there is work, rests without, and wakes when poked', async () => {
  const stop = new AbortController();
  let backlog = 3;
  let rounds = 0;
  const loop = createLoop({ name: 'test', log, pollMs: NEVER_MS, round: async () => ((rounds += 1), backlog > 0 ? ((backlog -= 1), 1) : 0) });
  const running = loop.start(stop.signal);
  await until(() => rounds === 4);
  backlog = 1;
  loop.poke();
  await until(() => rounds === 6);
  stop.abort();
  await running;
  expect({ backlog, rounds }).toEqual({ backlog: 0, rounds: 6 });
});

test('a poke during a round is not forgotten', async () => {
  const stop = new AbortController();
  let rounds = 0;
  const loop = createLoop({ name: 'test', log, pollMs: NEVER_MS, round: async () => {
    rounds += 1;
    if (rounds === 1) loop.poke();
    return 0;
  } });
  const running = loop.start(stop.signal);
  await until(() => rounds === 2);
  stop.abort();
  await running;
  expect(rounds).toBe(2);
});

test('a round that throws is run again after a pause, and a stop ends the pause', async () => {
  const stop = new AbortController();
  let rounds = 0;
  const loop = createLoop({ name: 'test', log, pollMs: NEVER_MS, round: async () => {
    rounds += 1;
    throw new Error('away');
  } });
  const running = loop.start(stop.signal);
  await until(() => rounds === 2);
  stop.abort();
  await running;
  expect(rounds).toBe(2);
});

test('a round of a test and a round of the running loop take turns', async () => {
  let at = 0;
  let most = 0;
  const loop = createLoop({ name: 'test', log, pollMs: NEVER_MS, round: async () => {
    most = Math.max(most, (at += 1));
    await new Promise((resolve) => setImmediate(resolve));
    at -= 1;
    return 0;
  } });
  await Promise.all([loop.tick(), loop.tick(), loop.drain()]);
  expect(most).toBe(1);
});

test('a drain that feeds itself is a defect, and says so', async () => {
  const loop = createLoop({ name: 'glutton', log, pollMs: NEVER_MS, round: async () => 1 });
  await expect(loop.drain()).rejects.toThrow('glutton found work');
});

test('a runner hands out what it claims in batches, no more at once than it may, and waits for them at a stop', async () => {
  const stop = new AbortController();
  const due = Array.from({ length: 10 }, (_, i) => i);
  const done: number[][] = [];
  const gates: (() => void)[] = [];
  let most = 0;
  const runner = createRunner<number>({
    name: 'test', log, batch: 2, concurrency: 2, pollMs: NEVER_MS,
    claim: async (limit) => due.splice(0, limit),
    async work(items) {
      most = Math.max(most, gates.length + 1);
      await new Promise<void>((resolve) => gates.push(resolve));
      done.push(items);
    },
  });
  const running = runner.start(stop.signal);
  while (done.length < 4) {
    await until(() => gates.length > 0);
    gates.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => gates.length > 0);
  stop.abort();
  gates.splice(0).forEach((open) => open());
  await running;
  expect(most).toBe(2);
  expect(done.flat().toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(Math.max(...done.map((items) => items.length))).toBe(2);
});

test('work that throws does not end the runner', async () => {
  const due = [1, 2, 3];
  const seen: number[] = [];
  const runner = createRunner<number>({
    name: 'test', log, batch: 1, concurrency: 1, pollMs: NEVER_MS,
    claim: async (limit) => due.splice(0, limit),
    async work([item = 0]) {
      seen.push(item);
      if (item === 2) throw new Error('poison');
    },
  });
  await runner.drain();
  expect(seen).toEqual([1, 2, 3]);
});

test('a loop rests after a round, longer under load and on a busy machine, and not with nothing to do or a backlog', () => {
  expect([restAfter(0, 1), restAfter(1, 10), restAfter(3, 500), restAfter(4, 10), restAfter(4, 70), restAfter(150, 20), restAfter(150, 40), restAfter(150, 500), restAfter(250, 60)]).toEqual([0, 15, 0, 90, 250, 80, 160, 250, 0]);
});
