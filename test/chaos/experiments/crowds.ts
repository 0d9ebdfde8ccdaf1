// Callers who mean no harm and are many: they ask, or watch, without a pause, while buyers go on buying.
import type { Experiment } from '../experiment.ts';
import type { Lengths } from '../form.ts';
import { sumAt } from '../../support/metrics.ts';
import { clientsAt } from '../buyers/clients.ts';
import { until } from '../wait.ts';
import { INTERNAL, check, underAttack } from './under-attack.ts';

/** Connections that ask for what needs no token, half of them whether all are ready. */
const ASKING = 64;
const ASKING_MS: Lengths = { brief: 3_000, short: 6_000, full: 30_000 };
/** How often all who ask may make the edge ask a service, which asks its database: half as often again as it should, for the edge's own looks and a clock that is late. */
const MOST_LOOKS_PER_SECOND = 15;
/** Who watch one level while it changes all the time; a caller may have 500 streams. */
const WATCHING = 400;
/** Those who change it, one change after the other, beside the buyers. */
const CHANGING = 4;
/** What all who watch are told together: half as many levels again as they should, for a clock that is late. */
const MOST_TOLD_PER_SECOND = 1_500;
/** How late anybody may know of a change, on a machine that is starved. */
const KNOWN_LIMIT_MS = 15_000;
const WATCH_TIMEOUT_MS = 300_000;

export const A16: Experiment = {
  id: 'A16',
  title: 'many connections ask for readiness and numbers without a pause',
  check,
  async run(context) {
    const { system: { runtime }, by } = context;
    return underAttack(context, 'requests that need no token', async (tell) => {
      const looks = async (): Promise<number> => sumAt(runtime.services.product, 'millrace_http_requests_total', 'route="/readyz"');
      const [before, from] = [await looks(), Date.now()];
      let count = 0;
      await Promise.all(Array.from({ length: ASKING }, async (_, i) => {
        while (Date.now() < from + by(ASKING_MS)) {
          const response = await fetch(`${runtime.edge}/${i % 2 === 0 ? 'readyz' : 'metrics'}`);
          await response.arrayBuffer();
          count += 1;
          if (response.status === INTERNAL) tell(`${response.status} to ${response.url}`);
        }
      }));
      const perSecond = ((await looks()) - before) / ((Date.now() - from) / 1_000);
      if (perSecond > MOST_LOOKS_PER_SECOND) tell(`the edge asked the product service ${perSecond.toFixed(0)} times a second whether it is ready`);
      return count;
    });
  },
};

export const A17: Experiment = {
  id: 'A17',
  title: 'hundreds watch a level that changes all the time',
  check,
  async run(context) {
    const { system: { runtime }, admin, name, skus: [sku = ''], by } = context;
    return underAttack(context, 'levels told to those who watch', async (tell) => {
      const { inventory } = clientsAt(runtime.edge, runtime.tokens.service);
      const gone = new AbortController();
      const known = Array<number>(WATCHING).fill(-1);
      let told = 0;
      const watching = known.map(async (_, i) => {
        try {
          for await (const { stockLevel } of inventory.watchStock({ skus: [sku] }, { signal: gone.signal, timeoutMs: WATCH_TIMEOUT_MS })) {
            if (stockLevel === undefined) continue;
            known[i] = stockLevel.version;
            told += 1;
          }
        } catch (error) {
          if (!gone.signal.aborted) tell(`a watch ended: ${String(error)}`);
        }
      });
      await until('all know the level', KNOWN_LIMIT_MS, () => known.every((version) => version >= 0));
      const [before, from] = [told, performance.now()];
      await Promise.all(Array.from({ length: CHANGING }, async (_, i) => {
        for (let n = 0; performance.now() < from + by(ASKING_MS); n += 1) await admin.inventory.adjustStock({ sku, delta: n % 2 === 0 ? 1 : -1, reason: 'counted again', requestId: `${name}-count-${i}-${n}` });
      }));
      const perSecond = (told - before) / ((performance.now() - from) / 1_000);
      if (perSecond > MOST_TOLD_PER_SECOND) tell(`${perSecond.toFixed(0)} levels a second were told`);
      const { stockLevel: { version: latest } = { version: Infinity } } = await admin.inventory.getStock({ sku });
      await until('all know the latest level', KNOWN_LIMIT_MS, () => known.every((version) => version >= latest));
      gone.abort();
      await Promise.all(watching);
      return told - before;
    });
  },
};
