// How a process at the public port takes an attack: what it answered, and that it lives and holds no more than it may.
import type { Broken, Context } from '../experiment.ts';
import { metricAt } from '../../support/metrics.ts';

/** A fault of ours. 503 and 504 shed load, which is no answer to garbage but no fault either. */
export const INTERNAL = 500;
const MAX_RSS_BYTES = 700 * 1024 ** 2;

const broken = (problem: string): Broken => ({ invariant: 'I15', what: 'edge', problem });
/** What an attack found, told when the checks run. */
const found = new WeakMap<Context, Broken[]>();

export async function underAttack(context: Context, what: string, attack: (tell: (problem: string) => void) => Promise<number>): Promise<{ count: number; what: string }> {
  const problems: Broken[] = [];
  found.set(context, problems);
  const pids = { edge: context.system.pid('edge'), order: context.system.pid('order') };
  const count = await attack((problem) => problems.push(broken(problem)));
  for (const [name, pid] of Object.entries(pids)) if (context.system.pid(name) !== pid) problems.push(broken(`${name} died`));
  for (const url of [context.system.runtime.edge, context.system.runtime.services.order]) {
    const rss = (await metricAt(url, 'process_resident_memory_bytes')) ?? 0;
    if (rss > MAX_RSS_BYTES) problems.push(broken(`${url} holds ${(rss / 1024 ** 2).toFixed(0)} MiB`));
  }
  return { count, what };
}

export const check = async (context: Context): Promise<Broken[]> => found.get(context) ?? [];
