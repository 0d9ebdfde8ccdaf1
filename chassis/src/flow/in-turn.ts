import { createBatcher } from './batcher.ts';

/** Who may wait for his turn; one more is refused with OVERLOADED. */
const MAX_WAITING = 200;

/**
 * Answers a function that does one job after the other. For those that keep a process busy for longer than many orders do, like a page of
 * 500: between two of them everybody else gets on.
 */
export function inTurn(name: string): <T>(job: () => Promise<T>) => Promise<T> {
  const wait = createBatcher<() => Promise<unknown>, unknown>({ name, lanes: 1, max: 1, queueLimit: MAX_WAITING }, (jobs) => Promise.all(jobs.map((job) => job())));
  return <T>(job: () => Promise<T>) => wait(job) as Promise<T>;
}
