// Keeps one process alive: what ends unasked is started again, with growing pauses.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Running } from './child.ts';

export type Supervised = {
  /** Settles when the supervisor has let go, after `signal` aborted. */
  finished: Promise<void>;
};

type Options = {
  onRestart?: () => void;
  /** Whether the end of the one that was started last was planned: then it is in no crash loop. */
  isPlanned?: () => boolean;
  pauses?: Pauses;
};
export type Pauses = { first: number; longest: number; calm: number };

/** From a quarter of a second, doubling, to a quarter of a minute. What has served for five seconds is in no crash loop: its next pause is the first again. */
const PAUSES: Pauses = { first: 250, longest: 15_000, calm: 5_000 };

/** Starts it (throwing when the first start fails), then restarts it for ever until the signal aborts. */
export async function supervise(name: string, start: () => Promise<Running>, signal: AbortSignal, say: (line: string) => void, { onRestart = () => {}, isPlanned = () => false, pauses = PAUSES }: Options = {}): Promise<Supervised> {
  const first = await start();
  return { finished: keepAlive(first) };

  async function keepAlive(running: Running | undefined): Promise<void> {
    let pause = pauses.first;
    for (;;) {
      const since = performance.now();
      await running?.exited;
      if (signal.aborted) return;
      if (isPlanned() || performance.now() - since > pauses.calm) pause = pauses.first;
      say(`${name} ended unexpectedly; starting it again in ${pause} ms`);
      await sleep(pause, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      pause = Math.min(pause * 2, pauses.longest);
      try {
        running = await start();
        say(`${name} is back`);
        onRestart();
      } catch (error) {
        if (signal.aborted) return;
        running = undefined;
        say(`${name} did not start: ${(error as Error).message}`);
      }
    }
  }
}
