// Keeps a slow provider in its own corner: so many calls at once, so many waiting, and no more.
import { refuse } from '@millrace/chassis/api/errors';

/** Calls to the provider in flight: at 200 ms each that is 320 a second; Stripe allows 100 a second in live mode unless asked for more. */
export const MAX_IN_FLIGHT = 64;
/** Calls that may wait for a place; they are people waiting for their payment. */
const MAX_WAITING = 256;
const RETRY_AFTER_MS = 1_000;

export type Bulkhead = <T>(call: () => Promise<T>) => Promise<T>;

export function createBulkhead(): Bulkhead {
  let flying = 0;
  const waiting: (() => void)[] = [];
  return async (call) => {
    if (flying >= MAX_IN_FLIGHT) {
      if (waiting.length >= MAX_WAITING) throw refuse('OVERLOADED', 'too many calls wait for the payment provider', {}, RETRY_AFTER_MS);
      // Whoever leaves hands the place over.
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else flying += 1;
    try {
      return await call();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else flying -= 1;
    }
  };
}
