import { type Bulkhead, createBulkhead } from './bulkhead.ts';

/** Who may wait for his turn; one more is refused with OVERLOADED. */
const MAX_WAITING = 200;
const RETRY_AFTER_MS = 250;

/** One job after the other. For those that keep a process busy for longer than many orders do, like a page of 500: between two of them everybody else gets on. */
export function inTurn(name: string): Bulkhead {
  return createBulkhead({ most: 1, waiting: MAX_WAITING, refusal: `too many requests are waiting (${name})`, retryAfterMs: RETRY_AFTER_MS });
}
