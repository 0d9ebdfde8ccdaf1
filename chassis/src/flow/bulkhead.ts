// Keeps what is slow in its own corner: so much at once, so much waiting, and no more.
import { refuse } from '../api/errors.ts';

export type Bulkhead = <T>(call: () => Promise<T>) => Promise<T>;

export type BulkheadOptions = {
  /** Calls in flight at once. */
  most: number;
  /** Calls that may wait for a place; one more is refused with OVERLOADED. */
  waiting: number;
  /** What who is refused is told, and how long to stay away. */
  refusal: string;
  retryAfterMs: number;
};

export function createBulkhead({ most, waiting: mayWait, refusal, retryAfterMs }: BulkheadOptions): Bulkhead {
  let flying = 0;
  const waiting: (() => void)[] = [];
  return async (call) => {
    if (flying >= most) {
      if (waiting.length >= mayWait) throw refuse('OVERLOADED', refusal, {}, retryAfterMs);
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
