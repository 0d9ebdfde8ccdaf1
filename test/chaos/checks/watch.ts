// What every attack must leave alone, computed around it: the processes (I15), the buyers (I16), what is nobody's business (I18).
import { callCounts, served, withinBudget } from '../buyers/good-traffic.ts';
import type { Context, Experiment } from '../experiment.ts';
import type { AuditRow } from './audit.ts';
import { buyersOf, errorsOf, leaks, secretsOf } from './leaks.ts';
import { survived, vitalsOf } from './vitals.ts';

export type Watch = {
  /** The attack is over; what follows is only settling. */
  over(): Promise<void>;
  /** When all has settled. */
  rows(): Promise<AuditRow[]>;
};

/** The seconds before an attack that buyers are compared with: less than any form's calm. */
const CALM_MS = 3_000;
/** In less time a few slow orders decide. */
const MIN_MS = 2_000;

export async function watch({ system, journal, form }: Context): Promise<Watch> {
  const [vitals, before, from] = [await vitalsOf(system), await callCounts(system, journal), Date.now()];
  let [after, to] = [before, from];
  return {
    async over() {
      [after, to] = [await callCounts(system, journal), Date.now()];
    },
    async rows() {
      const canaries = { secrets: await secretsOf(system), personal: buyersOf(journal) };
      const long = form !== 'brief' && to - from > MIN_MS;
      const good = long ? [served(journal, { from: from - CALM_MS, to: from }, { from, to })] : [];
      return [...good, withinBudget(before, after), await survived(system, vitals), await leaks(system, canaries, errorsOf(journal))];
    },
  };
}

/** An experiment that attacks under the runner's own load. */
export function watched(experiment: Experiment): Experiment {
  const watches = new WeakMap<Context, Watch>();
  return {
    ...experiment,
    async run(context) {
      const mine = await watch(context);
      watches.set(context, mine);
      const proof = await experiment.run(context);
      await mine.over();
      return proof;
    },
    rows: async (context) => (await watches.get(context)?.rows()) ?? [],
  };
}
