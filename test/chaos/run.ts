// One experiment on one seed: calm, fault, healing, quiet, audit.
import path from 'node:path';
import { sharedLook } from '@millrace/chassis/flow/shared-look';
import { clientsAt } from './buyers/clients.ts';
import { openJournal, type Journal } from './buyers/journal.ts';
import { createLoad } from './buyers/load.ts';
import { repeatAnswers, settleTimes, uncaughtErrors } from './checks/afterwards.ts';
import { auditSystem, type AuditRow } from './checks/audit.ts';
import { RECOVERY_LIMIT_MS, recovery } from './checks/recovery.ts';
import { settle } from './checks/settle.ts';
import type { Broken, Context, Experiment } from './experiment.ts';
import type { Form, Lengths } from './form.ts';
import { seeded } from './random.ts';
import type { System } from './system/system.ts';
import { pause, until } from './wait.ts';

export type Result = {
  experiment: string;
  title: string;
  seed: string;
  form: Form;
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
  /** Acknowledged orders per second; not in the brief form. `recoverMs`: until they were nine tenths of the control's. */
  goodput?: { control: number; after: number; recoverMs?: number | undefined };
  tookMs: number;
  /** What went wrong with the run itself. */
  error?: string;
};

/** The run without the fault, to compare with: short, because it is done each time. */
const CALM_MS: Lengths = { brief: 1_000, short: 5_000, full: 10_000 };
/** The first calls open connections and warm everything up. */
const WARM_UP_MS = 1_000;
const PER_SECOND = 12;
const PRODUCTS = 4;
const STOCK = 5_000;
const PRICE = 1_250n;
const RESOLVE_LIMIT_MS = 90_000;
const SETTLE_LIMIT_MS = 180_000;
const READY_LIMIT_MS = 60_000;
/** Offenders that a report names. */
const MAX_NAMED = 10;

export type RunOptions = { seed: string; form: Form; say: (line: string) => void };

/** `journals`: of all runs on this system, this one's is added; the audit looks at all of them. */
export async function runExperiment(system: System, experiment: Experiment, journals: Journal[], { seed, form, say }: RunOptions): Promise<Result> {
  const began = performance.now();
  const name = `${experiment.id}-${seed}-${Date.now().toString(36)}`.replaceAll(/[^\w-]/g, '_');
  const journal = openJournal(path.join(system.home, `${name}.jsonl`));
  journals.push(journal);
  const { edge, tokens } = system.runtime;
  const admin = clientsAt(edge, tokens.admin);
  // Hundreds of buyers may wait for the same.
  const ready = sharedLook('ready', 0, async () => (await fetch(`${edge}/readyz`)).ok);
  const load = createLoad(clientsAt(edge, tokens.service), journal, seeded(`${seed} ${experiment.id} load`), name, ready);
  const skus = await makeProducts(admin, name, experiment.stock ?? STOCK);
  const context: Context = { system, admin, load, journal, random: seeded(`${seed} ${experiment.id}`), name, skus, perSecond: experiment.perSecond ?? PER_SECOND, form, by: (lengths) => lengths[form], say };
  const result: Result = {
    experiment: experiment.id, title: experiment.title, seed, form, fault: { count: 0, what: '' }, operations: 0, acknowledged: 0, unknown: 0, refused: 0,
    audit: [], violations: 0, settleMs: { p50: 0, max: 0 }, quietMs: 0, tookMs: 0,
  };
  const tell = (broken: readonly Broken[]): void => {
    for (const [invariant, some] of Map.groupBy(broken, (one) => one.invariant)) result.audit.push({ invariant, checked: some.length, violations: some.length, first: some.slice(0, MAX_NAMED) });
  };
  try {
    const healed = await breakAndHeal(context, experiment, result);
    if (result.goodput && result.goodput.recoverMs === undefined) tell([{ invariant: 'I16', what: 'goodput', problem: `not back within ${RECOVERY_LIMIT_MS / 1_000} s: ${result.goodput.after.toFixed(1)} instead of ${result.goodput.control.toFixed(1)} orders per second` }]);
    await load.stop();
    countOutcomes(result, journal);
    await load.resolveUnknown(RESOLVE_LIMIT_MS);
    const settleLimitMs = experiment.settleLimitMs ?? SETTLE_LIMIT_MS;
    result.quietMs = await settle(system, settleLimitMs).catch((error: unknown) => {
      tell([{ invariant: 'I7', what: 'quiescence', problem: (error as Error).message }]);
      return settleLimitMs;
    });
    await experiment.tidy?.(context);
    result.settleMs = await settleTimes(system, journal, healed);
    const rows = await auditSystem(system, journals.flatMap((one) => one.entries()));
    result.audit.push(...rows.map((row) => experiment.judge?.(row) ?? row), ...((await experiment.rows?.(context)) ?? []));
    tell([...(await repeatAnswers(context)), ...(await uncaughtErrors(system)), ...((await experiment.check?.(context)) ?? [])]);
  } catch (error) {
    result.error = (error as Error).stack ?? String(error);
  } finally {
    await load.stop();
    countOutcomes(result, journal);
    journal.close();
  }
  result.violations = result.audit.reduce((sum, row) => sum + row.violations, 0);
  result.tookMs = performance.now() - began;
  return result;
}

/** Answers when it was healed. Goodput is measured where the load is ours and there is time for it. */
async function breakAndHeal(context: Context, experiment: Experiment, result: Result): Promise<number> {
  const { system, load, skus, perSecond, form, by } = context;
  if (perSecond > 0) {
    load.start({ perSecond, skus, ...experiment.mix });
    await pause(by(CALM_MS));
  }
  const calmTo = Date.now();
  try {
    result.fault = await experiment.run(context);
  } finally {
    await system.heal();
  }
  const healed = Date.now();
  if (perSecond === 0 || form === 'brief') return healed;
  const control = load.goodput(calmTo - by(CALM_MS) + WARM_UP_MS, calmTo);
  const { goodput: after, recoverMs } = await recovery(load, control, healed);
  result.goodput = { control, after, recoverMs };
  return healed;
}

async function makeProducts(admin: Context['admin'], name: string, stock: number): Promise<string[]> {
  const skus = Array.from({ length: PRODUCTS }, (_, i) => `${name}-${i}`.slice(-64));
  await Promise.all(skus.map(async (sku) => {
    const requestId = `make-${sku}`.slice(0, 64);
    await until(`product ${sku}`, READY_LIMIT_MS, async () => admin.products.createProduct({ requestId, product: { sku, name: `Product ${sku}`, price: { currencyCode: 'EUR', minorUnits: PRICE } }, initialStock: stock }));
  }));
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
