// Follows an order: says it whenever its version has grown, shows now and then that the stream lives, and ends when the order is over.
import type { Caller } from '@millrace/chassis/api/auth';
import { refuse } from '@millrace/chassis/api/errors';
import type { Changes } from '@millrace/chassis/flow/changes';
import type { GetOrder } from './get-order.ts';
import { type Order, waitOf } from './order.ts';

export type WatchOptions = { getOrder: GetOrder; changes: Pick<Changes, 'wait'>; heartbeatMs?: number; pollMs?: number; maxWatchers?: number };

/** Proxies between here and a browser cut connections that are silent for half a minute. */
const HEARTBEAT_MS = 15_000;
/** Another instance may have changed the order: its signal doesn't reach this process. */
const POLL_MS = 2_000;
/** Each one costs a share of a read every two seconds. */
const MAX_WATCHERS = 2_000;
const RETRY_AFTER_MS = 5_000;

export function createWatchOrder({ getOrder, changes, heartbeatMs = HEARTBEAT_MS, pollMs = POLL_MS, maxWatchers = MAX_WATCHERS }: WatchOptions) {
  let watchers = 0;

  return async function* watchOrder(caller: Caller, orderId: string, afterVersion: number, signal: AbortSignal): AsyncGenerator<Order | undefined> {
    if (watchers >= maxWatchers) throw refuse('OVERLOADED', 'too many orders are being watched', {}, RETRY_AFTER_MS);
    watchers += 1;
    try {
      let seen = afterVersion;
      let spoke = performance.now();
      while (!signal.aborted) {
        // Listens before it reads, or a change between the two would go unheard.
        const change = changes.wait([orderId], { signal, timeoutMs: Math.min(pollMs, heartbeatMs) });
        const order = await getOrder(caller, orderId);
        if (order.version > seen || performance.now() - spoke >= heartbeatMs) {
          yield order.version > seen ? order : undefined;
          seen = Math.max(seen, order.version);
          spoke = performance.now();
        }
        if (waitOf(order) === undefined) return;
        await change;
      }
    } finally {
      watchers -= 1;
    }
  };
}
