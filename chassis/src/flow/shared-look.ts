import { createBatcher } from './batcher.ts';

/** Who may wait for one look; one more is refused with OVERLOADED. */
const MAX_ASKING = 1_000;

/** One look answers all who asked before it began, so that nobody is told what was before he asked; looks are `paceMs` apart at least, and never two at once. */
export function sharedLook<T>(name: string, paceMs: number, look: () => Promise<T>): () => Promise<T> {
  const ask = createBatcher<undefined, T>({ name, lanes: 1, max: MAX_ASKING, queueLimit: MAX_ASKING, paceMs }, async (askers) => {
    const seen = await look().catch((error: unknown) => error as Error);
    return askers.map(() => seen);
  });
  return async () => ask(undefined);
}
