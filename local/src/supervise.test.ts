import { expect, test } from 'vitest';
import { supervise } from './supervise.ts';

const PAUSES = { first: 1, longest: 4, calm: 60_000 };

function endable(): { running: { exited: Promise<void> }; end: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { running: { exited: promise }, end: resolve };
}

test('what ends unasked is started again, with pauses that grow up to a limit', async () => {
  const stop = new AbortController();
  const said: string[] = [];
  const calm = endable();
  let starts = 0;
  const { finished } = await supervise('order', async () => {
    starts += 1;
    if (starts === 6) {
      setImmediate(() => stop.abort());
      setImmediate(calm.end);
      return calm.running;
    }
    return { exited: Promise.resolve() };
  }, stop.signal, (line) => said.push(line), { pauses: PAUSES });
  await finished;
  expect(starts).toBe(6);
  expect(said.flatMap((line) => /again in (\d+) ms/.exec(line)?.[1] ?? [])).toEqual(['1', '2', '4', '4', '4']);
});

test('what was planned to end is started again at once, however often', async () => {
  const stop = new AbortController();
  const said: string[] = [];
  let starts = 0;
  const { finished } = await supervise('order', async () => {
    starts += 1;
    if (starts === 5) stop.abort();
    return { exited: Promise.resolve() };
  }, stop.signal, (line) => said.push(line), { isPlanned: () => starts < 4, pauses: PAUSES });
  await finished;
  expect(said.flatMap((line) => /again in (\d+) ms/.exec(line)?.[1] ?? [])).toEqual(['1', '1', '1', '2']);
});

test('a restart that fails is tried again', async () => {
  const stop = new AbortController();
  const said: string[] = [];
  let starts = 0;
  let restarts = 0;
  const last = endable();
  const { finished } = await supervise('nats', async () => {
    starts += 1;
    if (starts === 2) throw new Error('no disk');
    return starts === 1 ? { exited: Promise.resolve() } : last.running;
  }, stop.signal, (line) => said.push(line), {
    onRestart() {
      restarts += 1;
      stop.abort();
      last.end();
    },
    pauses: PAUSES,
  });
  await finished;
  expect(starts).toBe(3);
  expect(restarts).toBe(1);
  expect(said).toContain('nats did not start: no disk');
});

test('a first start that fails is the caller\'s to hear', async () => {
  await expect(supervise('edge', () => Promise.reject(new Error('bad config')), new AbortController().signal, () => {})).rejects.toThrow('bad config');
});

test('what ends after the signal to let go is left alone', async () => {
  const stop = new AbortController();
  const child = endable();
  let starts = 0;
  const { finished } = await supervise('order', async () => {
    starts += 1;
    return child.running;
  }, stop.signal, () => {}, { pauses: PAUSES });
  stop.abort();
  child.end();
  await finished;
  expect(starts).toBe(1);
});
