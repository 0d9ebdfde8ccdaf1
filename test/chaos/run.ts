// One experiment on one seed: calm, fault, healing, quiet, audit.
import path from 'node:path';
import { auditSystem, type AuditRow } from './audit.ts';
import { clientsAt } from './clients.ts';
import { query } from './databases.ts';
import type { Context, Experiment } from './experiment.ts';
import { openJournal, type Journal } from './journal.ts';
import { createLoad, send } from './load.ts';
import { seeded } from './random.ts';
import { settle } from './settle.ts';
import type { System } from './system.ts';
import { pause, until } from './wait.ts';

export type Result = {
  experiment: string;
  title: string;
  seed: string;
  short: boolean;
  fault: { count: number; what: string };
  operations: number;
  acknowledged: number;
  unknown: number;
  refused: number;
  audit: AuditRow[];
  violations: number;
  /** From the healing (or the order, if later) to where the order stays. */
  settleMs: { p50: number; max: number };
  /** Until all queues, outboxes and messages were quiet. */
  quietMs: number;
  /** Acknowledged orders per second. */
  goodput: { control: number; after: number };
  /** What went wrong with the run itself. */
  error?: string;
};

/** The run without the fault, to compare with: short, because it is done each time. */
const CALM_MS = { short: 4_000, full: 10_000 };
/** The first calls open connections and warm everything up. */
const WARM_UP_MS = 1_000;
const AFTER_MS = { short: 5_000, full: 30_000 };
const PER_SECOND = 12;
const PRODUCTS = 4;
const STOCK = 5_000;
const PRICE = 1_250n;
const RESOLVE_LIMIT_MS = 90_000;
const SETTLE_LIMIT_MS = 180_000;
const READY_LIMIT_MS = 60_000;

export type RunOptions = { seed: string; short: boolean; say: (line: string) => void };

export async function runExperiment(system: System, experiment: Experiment, journals: Journal[], { seed, short, say }: RunOptions): Promise<Result> {
  const name = `${experiment.id}-${seed}-${Date.now().toString(36)}`.replaceAll(/[^\w-]/g, '_');
  const random = seeded(`${seed} ${experiment.id}`);
  const journal = openJournal(path.join(system.home, `${name}.jsonl`));
  journals.push(journal);
  const { edge, tokens } = system.runtime;
  const admin = clientsAt(edge, tokens.admin);
  const load = createLoad(clientsAt(edge, tokens.service), journal, seeded(`${seed} ${experiment.id} load`), name);
  const skus = await makeProducts(admin, name, experiment.stock ?? STOCK);
  const context: Context = { system, admin, load, journal, random, name, skus, short, say };
  const result: Result = {
    experiment: experiment.id, title: experiment.title, seed, short, fault: { count: 0, what: '' }, operations: 0, acknowledged: 0, unknown: 0, refused: 0,
    audit: [], violations: 0, settleMs: { p50: 0, max: 0 }, quietMs: 0, goodput: { control: 0, after: 0 },
  };
  try {
    const perSecond = experiment.perSecond ?? PER_SECOND;
    if (perSecond > 0) load.start({ perSecond, skus, ...experiment.mix });
    const calmFrom = Date.now() + WARM_UP_MS;
    if (perSecond > 0) await pause(short ? CALM_MS.short : CALM_MS.full);
    const calmTo = Date.now();
    try {
      result.fault = await experiment.run(context);
    } finally {
      await system.heal();
    }
    const healed = Date.now();
    if (perSecond > 0) {
      const afterMs = short ? AFTER_MS.short : AFTER_MS.full;
      await pause(afterMs);
      const rampTo = Date.now();
      // The first half is the way back; the second is compared.
      result.goodput = { control: load.goodput(calmFrom, calmTo), after: load.goodput(rampTo - afterMs / 2, rampTo) };
    }
    await load.stop();
    countOutcomes(result, journal);
    await load.resolveUnknown(RESOLVE_LIMIT_MS);
    result.quietMs = await settle(system, experiment.settleLimitMs ?? SETTLE_LIMIT_MS).catch((error: unknown) => {
      result.audit.push({ invariant: 'I7', checked: 1, violations: 1, first: [{ what: 'quiescence', problem: (error as Error).message }] });
      return SETTLE_LIMIT_MS;
    });
    await experiment.tidy?.(context);
    result.settleMs = await settleTimes(system, journal, healed);
    const rows = await auditSystem(system, journals.flatMap((one) => one.entries()));
    result.audit.push(...rows.map((row) => experiment.judge?.(row) ?? row));
    for (const broken of [...(await repeatAnswers(context)), ...(await deadProcesses(system)), ...((await experiment.check?.(context)) ?? [])]) {
      result.audit.push({ invariant: broken.invariant, checked: 1, violations: 1, first: [broken] });
    }
  } catch (error) {
    result.error = (error as Error).stack ?? String(error);
  } finally {
    await load.stop();
    countOutcomes(result, journal);
    journal.close();
  }
  result.violations = result.audit.reduce((sum, row) => sum + row.violations, 0);
  return result;
}

async function makeProducts(admin: Context['admin'], name: string, stock: number): Promise<string[]> {
  const skus = Array.from({ length: PRODUCTS }, (_, i) => `${name}-${i}`.slice(-64));
  for (const sku of skus) {
    const requestId = `make-${sku}`.slice(0, 64);
    await until(`product ${sku}`, READY_LIMIT_MS, async () => admin.products.createProduct({ requestId, product: { sku, name: `Product ${sku}`, price: { currencyCode: 'EUR', minorUnits: PRICE } }, initialStock: stock }));
  }
  await until('the stock records', READY_LIMIT_MS, async () => (await admin.inventory.batchGetStock({ skus })).stockLevels.length === skus.length);
  return skus;
}

// Once settled the outcomes are counted as the load first saw them: an unknown one that was told later was unknown.
function countOutcomes(result: Result, journal: Journal): void {
  const entries = journal.entries();
  result.operations = entries.length;
  result.acknowledged = entries.filter(({ outcome, resolved }) => outcome === 'ok' && !resolved).length;
  result.refused = entries.filter(({ outcome, resolved }) => outcome === 'fail' && !resolved).length;
  result.unknown = entries.length - result.acknowledged - result.refused;
}

/** I5: asked once more with the same request id, an order that was acknowledged is answered with the same id. */
const REPEATS = 40;
async function repeatAnswers({ system, journal, random }: Context): Promise<{ invariant: string; what: string; problem: string }[]> {
  const clients = clientsAt(system.runtime.edge, system.runtime.tokens.service);
  const told = journal.entries().filter(({ request, outcome }) => request.do === 'place' && outcome === 'ok');
  const sample = [...told.filter(({ resolved }) => resolved), ...random.shuffled(told)].slice(0, REPEATS);
  const broken = await Promise.all(sample.map(async (entry) => {
    const again = await send(clients, entry).catch((error: unknown) => String(error));
    return again === entry.order_id ? [] : [{ invariant: 'I5', what: entry.request_id, problem: `answered ${entry.order_id}, then ${again}` }];
  }));
  return broken.flat();
}

/** I15: no error that nothing caught, in any process. */
async function deadProcesses(system: System): Promise<{ invariant: string; what: string; problem: string }[]> {
  const { services, edge } = system.runtime;
  const broken = await Promise.all(Object.entries({ ...services, edge }).map(async ([name, url]) => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const uncaught = Number(/^millrace_uncaught_errors(?:\{[^}]*\})? (\d+)/m.exec(metrics)?.[1] ?? 0);
    return uncaught === 0 ? [] : [{ invariant: 'I15', what: name, problem: `${uncaught} uncaught errors` }];
  }));
  return broken.flat();
}

async function settleTimes(system: System, journal: Journal, healed: number): Promise<{ p50: number; max: number }> {
  const asked = journal.entries();
  // An order that was cancelled or refunded on purpose has no time of its own.
  const touched = new Set(asked.flatMap(({ request }) => (request.do === 'place' ? [] : [request.orderId])));
  const mine = asked.filter(({ request, order_id = '' }) => request.do === 'place' && order_id && !touched.has(order_id)).map(({ order_id }) => order_id);
  const rows = await query<{ created: Date; settled: Date }>(system, 'order', 'SELECT create_time AS created, update_time AS settled FROM orders WHERE order_id = ANY($1)', [mine]);
  const times = rows.map(({ created, settled }) => Math.max(0, settled.getTime() - Math.max(created.getTime(), healed))).toSorted((a, b) => a - b);
  return { p50: times[Math.floor(times.length / 2)] ?? 0, max: times.at(-1) ?? 0 };
}
