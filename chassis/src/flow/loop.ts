// Background jobs: each has a handle that a test drives by hand, and stops with the process's signal.

import { setTimeout } from 'node:timers/promises';
import type { Log } from '../telemetry/log.ts';
import { backoff } from './backoff.ts';

export type Loop = {
  name: string;
  /** One round; answers how many items it handled. */
  tick(): Promise<number>;
  /** Rounds until there is nothing to do. */
  drain(): Promise<void>;
  /** There may be something to do: don't wait for the next poll. */
  poke(): void;
  /** Runs rounds until the signal; resolves when the last round is over. */
  start(signal: AbortSignal): Promise<void>;
};

/** A drain that finds work for this many rounds feeds itself: a defect, not a backlog. */
const MAX_DRAIN_ROUNDS = 10_000;

/** A round with fewer items is no sign of load. */
const BUSY_ITEMS = 4;
/** With so many in a round one more saves nothing: a backlog is worked off without rests. No more than a consumer's batch. */
const ENOUGH_ITEMS = 250;
/**
 * From one round to the next, at the least. A publication or a transaction costs the machine several ms however little is in it, so what follows
 * closely upon something else travels with what comes next; what comes alone does not wait.
 */
const PACE_MS = 25;
/** The same under load: at 400 items a second forty share a round. */
const BUSY_PACE_MS = 100;
/** On a busy machine a round takes long. So many times as long is then the rest, up to the longest: the more shares a round, the less each costs. */
const REST_PER_ROUND = 4;
/** What a rest may add to the way of an event, at each stage of an order, on a machine that is at its limit. */
const LONGEST_REST_MS = 250;

/**
 * How long to rest after a round of a loop that nobody waits for, so that the next one finds more to do together: nothing when there was nothing
 * to do or there is a backlog; otherwise until it is time, and under load in proportion to what the round took.
 */
export function restAfter(items: number, tookMs: number): number {
  if (items === 0 || items >= ENOUGH_ITEMS) return 0;
  if (items < BUSY_ITEMS) return Math.max(PACE_MS - tookMs, 0);
  return Math.min(Math.max(BUSY_PACE_MS - tookMs, tookMs * REST_PER_ROUND), LONGEST_REST_MS);
}

export type LoopOptions = { name: string; log: Log; pollMs: number; rest?: (items: number, tookMs: number) => number; round: () => Promise<number> };

/** Makes a loop of a round: again at once while there is work, or after a rest, else after `pollMs` or a poke; a throwing round is logged and paused. */
export function createLoop(options: LoopOptions): Loop {
  const { name, log, pollMs, rest } = options;
  let poked = false;
  let wake = () => {};
  let last: Promise<unknown> = Promise.resolve();
  // A test's drain and the running loop take turns.
  const round = (): Promise<number> => {
    const mine = last.then(options.round);
    last = mine.catch(() => {});
    return mine;
  };

  const pause = (ms: number, signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      if (poked || signal.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = globalThis.setTimeout(done, ms);
      signal.addEventListener('abort', done);
      wake = done;
    });

  return {
    name,
    tick: round,
    async drain() {
      for (let i = 0; (await round()) > 0; i += 1) {
        if (i >= MAX_DRAIN_ROUNDS) throw new Error(`${name} found work in ${MAX_DRAIN_ROUNDS} rounds`);
      }
    },
    poke() {
      poked = true;
      wake();
    },
    async start(signal) {
      let failures = 0;
      while (!signal.aborted) {
        poked = false;
        try {
          const began = performance.now();
          const handled = await round();
          failures = 0;
          const restMs = rest?.(handled, performance.now() - began) ?? 0;
          if (handled === 0) await pause(pollMs, signal);
          else if (restMs > 0) await setTimeout(restMs, undefined, { signal }).catch(() => {});
        } catch (error) {
          if (signal.aborted) return;
          failures += 1;
          log.warn({ err: error, loop: name, failures }, 'a round failed');
          poked = false;
          await pause(backoff(failures, { maxMs: 5_000 }), signal);
        }
      }
    },
  };
}

export type RunnerOptions<Item> = {
  name: string;
  log: Log;
  /** Takes due items and a lease on them, so that another instance or the next round doesn't. */
  claim: (limit: number) => Promise<Item[]>;
  /** Handles claimed items. When it throws, their leases run out and they become due again. */
  work: (items: Item[]) => Promise<void>;
  /** Items handed to one call of `work`. */
  batch: number;
  /** Calls of `work` at once. */
  concurrency: number;
  pollMs: number;
  /** How long to rest after a claim that found something, so that the next one finds more together. */
  rest?: LoopOptions['rest'];
};

/**
 * A loop over work with a due time. Claims again as soon as a place is free, so that a slow item doesn't hold up the rest.
 * `drain()` also waits for what is in flight.
 */
export function createRunner<Item>(options: RunnerOptions<Item>): Loop {
  const { name, log, claim, work, batch, concurrency, pollMs, rest } = options;
  const flying = new Set<Promise<void>>();

  const handle = async (items: Item[]) => {
    try {
      await work(items);
    } catch (error) {
      log.warn({ err: error, loop: name, items: items.length }, 'work failed, its lease will run out');
    }
  };

  const launch = async (): Promise<number> => {
    while (flying.size >= concurrency) await Promise.race(flying);
    const items = await claim(batch * (concurrency - flying.size));
    for (let i = 0; i < items.length; i += batch) {
      const job: Promise<void> = handle(items.slice(i, i + batch)).finally(() => flying.delete(job));
      flying.add(job);
    }
    return items.length;
  };

  const loop = createLoop({ name, log, pollMs, ...(rest && { rest }), round: launch });
  const landed = () => Promise.all(flying);
  return {
    ...loop,
    async tick() {
      const launched = await launch();
      await landed();
      return launched;
    },
    async drain() {
      for (let i = 0; (await this.tick()) > 0; i += 1) {
        if (i >= MAX_DRAIN_ROUNDS) throw new Error(`${name} found work in ${MAX_DRAIN_ROUNDS} rounds`);
      }
    },
    async start(signal) {
      await loop.start(signal);
      await landed();
    },
  };
}
