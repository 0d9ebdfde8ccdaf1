// Growing pauses with full jitter, so that those who failed together don't come back together.
// Source of the formula: AWS Architecture Blog, "Exponential Backoff And Jitter".

const BASE_MS = 200;
/** Nobody waits longer than this: what healed is noticed within half a minute. */
const MAX_MS = 30_000;

/** Pause before try number `attempt` + 1, in milliseconds; `attempt` counts from 1. */
export function backoff(attempt: number, { baseMs = BASE_MS, maxMs = MAX_MS } = {}): number {
  const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 30));
  return Math.round(ceiling / 2 + (Math.random() * ceiling) / 2);
}
