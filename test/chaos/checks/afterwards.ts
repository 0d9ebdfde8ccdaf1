// What is asked of a system after a run, beside the audit: the same answers again, no process that died, how long orders took.
import { metricAt } from '../../support/metrics.ts';
import { clientsAt } from '../buyers/clients.ts';
import type { Journal } from '../buyers/journal.ts';
import { send } from '../buyers/load.ts';
import type { Broken, Context } from '../experiment.ts';
import { query } from '../system/databases.ts';
import type { System } from '../system/system.ts';
import { until } from '../wait.ts';

const REPEATS = 40;
const ANSWER_LIMIT_MS = 30_000;

/** I5: asked once more with the same request id, an order that was acknowledged is answered with the same id. */
export async function repeatAnswers({ system, journal, random }: Context): Promise<Broken[]> {
  const clients = clientsAt(system.runtime.edge, system.runtime.tokens.service);
  const told = journal.entries().filter(({ request, outcome }) => request.do === 'place' && outcome === 'ok');
  const sample = [...told.filter(({ resolved }) => resolved), ...random.shuffled(told)].slice(0, REPEATS);
  const broken = await Promise.all(sample.map(async (entry) => {
    // Too busy to answer is no other answer: asked until there is one.
    const again = await until('an answer', ANSWER_LIMIT_MS, async () => send(clients, entry)).catch((error: unknown) => String(error));
    return again === entry.order_id ? [] : [{ invariant: 'I5', what: entry.request_id, problem: `answered ${entry.order_id}, then ${again}` }];
  }));
  return broken.flat();
}

/** I15: no error that nothing caught, in any process. */
export async function uncaughtErrors(system: System): Promise<Broken[]> {
  const { services, edge } = system.runtime;
  const broken = await Promise.all(Object.entries({ ...services, edge }).map(async ([name, url]) => {
    const uncaught = (await metricAt(url, 'millrace_uncaught_errors')) ?? 0;
    return uncaught === 0 ? [] : [{ invariant: 'I15', what: name, problem: `${uncaught} uncaught errors` }];
  }));
  return broken.flat();
}

/** From the healing (or the order, if later) to where the order stays. */
export async function settleTimes(system: System, journal: Journal, healed: number): Promise<{ p50: number; max: number }> {
  const asked = journal.entries();
  // An order that was cancelled or refunded on purpose has no time of its own.
  const touched = new Set(asked.flatMap(({ request }) => (request.do === 'place' ? [] : [request.orderId])));
  const mine = asked.filter(({ request, order_id = '' }) => request.do === 'place' && order_id && !touched.has(order_id)).map(({ order_id }) => order_id);
  const rows = await query<{ created: Date; settled: Date }>(system, 'order', 'SELECT create_time AS created, update_time AS settled FROM orders WHERE order_id = ANY($1)', [mine]);
  const times = rows.map(({ created, settled }) => Math.max(0, settled.getTime() - Math.max(created.getTime(), healed))).toSorted((a, b) => a - b);
  return { p50: times[Math.floor(times.length / 2)] ?? 0, max: times.at(-1) ?? 0 };
}
