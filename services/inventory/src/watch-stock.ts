// Follows levels: changes of this process at once, those of other instances at the next look.
import { setTimeout } from 'node:timers/promises';
import { refuse } from '@millrace/chassis/api/errors';
import type { Changes } from '@millrace/chassis/flow/changes';
import { type Reader, readAll } from '@millrace/chassis/flow/reader';
import type { Stock } from './stock.ts';

/** How late a change made by another instance may be seen. */
const LOOK_MS = 1_000;
/** Proxies cut streams that are silent for a minute; two of these may get lost. */
const HEARTBEAT_MS = 15_000;
/** Each costs a share of a look a second. */
const MAX_WATCHES = 1_000;
/**
 * Levels told a second, to all who watch together, once everybody has heard of a change: in a flash sale a level changes with every batch of
 * orders, and to tell it costs a third of what an order does. Told is always the latest level.
 */
const TOLD_PER_SECOND = 1_000;
/** Whoever watches much while many watch hears of it no later. */
const LONGEST_PAUSE_MS = 5_000;
const RETRY_AFTER_MS = 5_000;

/** Levels now and whenever they change; undefined is a heartbeat, and the first thing told when there is no level yet. */
export type WatchStock = (skus: string[], signal: AbortSignal) => AsyncGenerator<Stock | undefined>;

export function createWatchStock(readLevel: Reader<Stock>, changes: Changes, { heartbeatMs = HEARTBEAT_MS, toldPerSecond = TOLD_PER_SECOND } = {}): WatchStock {
  let watches = 0;
  return async function* watch(skus, signal) {
    if (watches >= MAX_WATCHES) throw refuse('OVERLOADED', 'too many are watching', {}, RETRY_AFTER_MS);
    watches += 1;
    try {
      yield* follow(skus, signal);
    } finally {
      watches -= 1;
    }
  };

  async function* follow(skus: string[], signal: AbortSignal): AsyncGenerator<Stock | undefined> {
    const told = new Map<string, number>();
    let toldAt = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      // Listens before it reads, so that nothing falls between the two.
      const change = changes.wait(skus, { signal, timeoutMs: Math.min(LOOK_MS, heartbeatMs) });
      const fresh = (await readAll(readLevel, skus)).filter(({ sku, version }) => version > (told.get(sku) ?? -1));
      for (const stock of fresh) {
        yield stock;
        told.set(stock.sku, stock.version);
      }
      if (fresh.length > 0) toldAt = performance.now();
      else if (performance.now() - toldAt >= heartbeatMs) {
        yield undefined;
        toldAt = performance.now();
      }
      await change;
      const pauseMs = (watches * fresh.length * 1_000) / toldPerSecond - (performance.now() - toldAt);
      if (fresh.length > 0 && pauseMs > 0) await setTimeout(Math.min(pauseMs, LONGEST_PAUSE_MS), undefined, { signal }).catch(() => {});
    }
  }
}
