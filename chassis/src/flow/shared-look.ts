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

/** The same for looks at different things: who asks for what somebody else asks for shares his look, unless it has begun. */
export function sharedLooks<A, T>(keyOf: (asked: A) => string, look: (asked: A) => Promise<T>): (asked: A) => Promise<T> {
  const [waiting, underWay] = [new Map<string, Promise<T>>(), new Map<string, Promise<void>>()];

  const begin = (key: string, asked: A): Promise<T> => {
    waiting.delete(key);
    const looking = look(asked);
    const over = () => void underWay.delete(key);
    underWay.set(key, looking.then(over, over));
    return looking;
  };

  return (asked) => {
    const key = keyOf(asked);
    const shared = waiting.get(key) ?? (underWay.get(key) ?? Promise.resolve()).then(() => begin(key, asked));
    waiting.set(key, shared);
    return shared;
  };
}
