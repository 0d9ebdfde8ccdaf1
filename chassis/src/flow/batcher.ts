// Natural micro-batching: while one batch is in flight the next one gathers. No timers where somebody waits: waiting costs more than it gains.

import { refuse } from '../api/errors.ts';

export type BatcherOptions = {
  name: string;
  /** Batches in flight at once. */
  lanes: number;
  /** Items in one batch. */
  max: number;
  /** Items that may wait; one more is refused with OVERLOADED. */
  queueLimit: number;
  /** Where nobody waits for the result: a batch that isn't full leaves no sooner than this after the one before, so that under load it is larger. */
  paceMs?: number;
};

/** How long a refused caller is told to stay away: about the time a full queue takes to drain. */
const RETRY_AFTER_MS = 250;

type Waiting<I, O> = { item: I; resolve(result: O): void; reject(error: Error): void };

/**
 * Answers a function that puts one item into the next batch and resolves to its result.
 * `run` gives one result or Error per item, in order. If it throws, a batch of several is run again item by item,
 * so that a bad one can't fail its neighbours.
 */
export function createBatcher<I, O>(options: BatcherOptions, run: (items: I[]) => Promise<(O | Error)[]>): (item: I) => Promise<O> {
  const queue: Waiting<I, O>[] = [];
  let busy = 0;
  let scheduled = false;
  let leaveAt = 0;

  const pump = () => {
    scheduled = false;
    while (busy < options.lanes && queue.length > 0) {
      const now = performance.now();
      if (now < leaveAt && queue.length < options.max) return schedule(leaveAt - now);
      leaveAt = now + (options.paceMs ?? 0);
      busy += 1;
      void settle(queue.splice(0, options.max), run).finally(() => {
        busy -= 1;
        if (!scheduled) pump();
      });
    }
  };
  const schedule = (ms: number) => {
    scheduled = true;
    // The end of the event-loop turn, so that all requests of this turn travel together.
    if (ms === 0) setImmediate(pump);
    else setTimeout(pump, ms);
  };

  return (item) =>
    new Promise<O>((resolve, reject) => {
      if (queue.length >= options.queueLimit) {
        reject(refuse('OVERLOADED', `too many requests are waiting (${options.name})`, {}, RETRY_AFTER_MS));
        return;
      }
      queue.push({ item, resolve, reject });
      if (busy < options.lanes && (!scheduled || queue.length === options.max)) schedule(0);
    });
}

async function settle<I, O>(batch: Waiting<I, O>[], run: (items: I[]) => Promise<(O | Error)[]>): Promise<void> {
  try {
    const results = await run(batch.map((waiting) => waiting.item));
    batch.forEach((waiting, i) => {
      const result = results[i];
      if (i >= results.length) waiting.reject(new Error(`a batch of ${batch.length} got ${results.length} results`));
      else if (result instanceof Error) waiting.reject(result);
      else waiting.resolve(result as O);
    });
  } catch (error) {
    // An outage is nobody's fault: running one by one would only multiply its timeouts.
    if (batch.length === 1 || isOutage(error)) for (const waiting of batch) waiting.reject(error as Error);
    else for (const waiting of batch) await settle([waiting], run);
  }
}

function isOutage(error: unknown): boolean {
  return (error as { reason?: unknown }).reason === 'DEPENDENCY_UNAVAILABLE';
}
