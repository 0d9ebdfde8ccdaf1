// Practice before the first caller: the first calls of a process cost many times what later ones do.

import type { Database, Tx } from './database/db.ts';

/** On a quiet machine the rounds take a fraction of this. On a busy one each waits for its turn, and a service that practises serves nobody. */
const LIMIT_MS = 1_000;

/** Repeats the work until the rounds or the time are over. */
export async function warmUp(rounds: number, work: () => Promise<unknown>, now: () => number = () => performance.now()): Promise<void> {
  const end = now() + LIMIT_MS;
  for (let i = 0; i < rounds && now() < end; i += 1) await work();
}

/** Does the work in a transaction that is never committed: nothing stays of it, and nobody hears of it. */
export async function undone(db: Pick<Database, 'transaction'>, work: (tx: Tx) => Promise<unknown>): Promise<void> {
  const practised = new Error('only practised');
  try {
    await db.transaction(async (tx) => {
      await work(tx);
      throw practised;
    });
  } catch (error) {
    if (error !== practised) throw error;
  }
}
