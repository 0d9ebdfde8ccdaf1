// Reads of single things by their keys: all of the moment travel in one statement, each key once.
import { createBatcher } from './batcher.ts';

/** What the key stands for, at a moment after the call; undefined when there is nothing. */
export type Reader<T> = (key: string) => Promise<T | undefined>;

/** A crowd that looks at the same page reads what one caller does; so many different keys at once are more than all pages of a shop. */
const LIMITS = { lanes: 2, max: 500, queueLimit: 20_000 };

export function createReader<T>(name: string, load: (keys: string[]) => Promise<ReadonlyMap<string, T>>): Reader<T> {
  const read = createBatcher<string, { found: T | undefined }>({ name, ...LIMITS }, async (keys) => {
    const found = await load([...new Set(keys)]);
    return keys.map((key) => ({ found: found.get(key) }));
  });
  return async (key) => (await read(key)).found;
}

/** Those that there are, each once, in the order of their keys. */
export async function readAll<T>(read: Reader<T>, keys: readonly string[]): Promise<T[]> {
  const found = await Promise.all([...new Set(keys)].map(read));
  return found.filter((thing) => thing !== undefined);
}
