import { describe, expect, it } from 'vitest';
import { createChanges } from './changes.ts';

const LONG_MS = 60_000;

describe('a watcher', () => {
  it('is woken by a change of one of its ids, and only of those', async () => {
    const changes = createChanges();
    const { signal } = new AbortController();
    const waiting = changes.wait(['a', 'b'], { signal, timeoutMs: LONG_MS });
    const other = changes.wait(['c'], { signal, timeoutMs: 1 });
    changes.notify('b');
    expect(await waiting).toBe(true);
    expect(await other).toBe(false);
  });

  it('stops waiting when it is told to', async () => {
    const changes = createChanges();
    const stop = new AbortController();
    const waiting = changes.wait(['a'], { signal: stop.signal, timeoutMs: LONG_MS });
    stop.abort();
    expect(await waiting).toBe(false);
    expect(await changes.wait(['a'], { signal: stop.signal, timeoutMs: LONG_MS })).toBe(false);
  });

  it('is one of many', async () => {
    const changes = createChanges();
    const { signal } = new AbortController();
    const all = Promise.all(Array.from({ length: 100 }, async () => changes.wait(['a'], { signal, timeoutMs: LONG_MS })));
    changes.notify('a');
    expect((await all).every(Boolean)).toBe(true);
  });
});
