// Waiting for something, with a deadline.
import { setTimeout } from 'node:timers/promises';

const POLL_MS = 50;

/** Waits until `look` answers something; errors on the way mean "not yet". Throws with the last of them when it never does. */
export async function until<T>(what: string, limitMs: number, look: () => T | Promise<T>): Promise<Exclude<T, undefined | null | false>> {
  const deadline = performance.now() + limitMs;
  let last: unknown = 'no';
  for (;;) {
    try {
      const seen = await look();
      if (seen) return seen as Exclude<T, undefined | null | false>;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) throw new Error(`${what}: not within ${limitMs / 1000} s (${String(last)})`);
    await setTimeout(POLL_MS);
  }
}

export async function pause(ms: number): Promise<void> {
  await setTimeout(ms);
}
