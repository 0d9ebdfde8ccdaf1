// Who runs what, where: jobs in an order, and lanes that each have one system at a time.
import { rmSync } from 'node:fs';
import type { Journal } from './buyers/journal.ts';
import type { Experiment } from './experiment.ts';
import { EXPERIMENTS } from './experiments.ts';
import type { Form } from './form.ts';
import type { Options } from './options.ts';
import type { Results } from './report/merge.ts';
import { line, type SabotageResult } from './report/report.ts';
import { runExperiment, type Result } from './run.ts';
import { mayLayCable } from './system/cable.ts';
import { mayMount } from './system/disk.ts';
import { sabotagedCopy, type Sabotage } from './system/sabotages.ts';
import type { System, SystemOptions } from './system/system.ts';
import { start, stop } from './system/systems.ts';

type Job = { experiment: Experiment; seed: string } | { sabotage: Sabotage; seed: string };
type Told = { say: (line: string) => void; ran: (result: Result) => void; sabotaged: (result: SabotageResult) => void };

/** A sabotaged build may never settle, and is caught then. */
const SABOTAGED_SETTLE_MS = 20_000;

/** Less than the time to pay: or else an order that one run left unpaid ends in the middle of another's audit. */
const LIFE_MS = 20 * 60_000;

const isPossible = ({ disk, cable }: Experiment): boolean => (disk === undefined || mayMount()) && (cable === undefined || mayLayCable());
/** The system that it wants. */
const wishesOf = ({ env = {}, disk, cable }: Experiment): SystemOptions => ({ env, ...(disk && { disk }), ...(cable && { cable }) });
const environmentOf = (experiment: Experiment): string => JSON.stringify(wishesOf(experiment));

/** What the earlier results don't hold yet. Seeds in the outer loop: a run cut short has seen every experiment. Experiments with the same environment follow each other. */
export function jobsOf({ sabotages, experiments, seeds, form }: Options, earlier: Results, say: (line: string) => void): Job[] {
  const [possible, others] = [experiments.filter(isPossible), experiments.filter((one) => !isPossible(one))];
  if (others.length > 0) say(`left out, as they need root: ${others.map(({ id }) => id).join(', ')}`);
  const alike = [...Map.groupBy(possible, environmentOf).values()];
  const ran = new Set(earlier.results.map(({ experiment, seed, form: had }) => `${experiment} ${seed} ${had}`));
  const caught = new Set(earlier.sabotages.filter(({ caughtBy }) => caughtBy.length > 0).map(({ name }) => name));
  return [
    ...sabotages.filter(({ name }) => !caught.has(name)).map((sabotage) => ({ sabotage, seed: seeds[0] ?? '1' })),
    ...alike.flatMap((some) => seeds.flatMap((seed) => some.map((experiment) => ({ experiment, seed })))).filter(({ experiment, seed }) => !ran.has(`${experiment.id} ${seed} ${form}`)),
  ];
}

export async function inLanes({ parallel, minutes, form }: Options, jobs: readonly Job[], told: Told): Promise<void> {
  const queue = [...jobs];
  const end = performance.now() + minutes * 60_000;
  const next = (): Job | undefined => (performance.now() > end ? undefined : queue.shift());
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(parallel, jobs.length) }, async () => lane(next, form, told)));
  for (const one of lanes) if (one.status === 'rejected') throw one.reason;
}

// One system serves until it is broken or old, or another environment is wanted.
async function lane(next: () => Job | undefined, form: Form, told: Told): Promise<void> {
  let running: { system: System; environment: string; journals: Journal[]; end: number } | undefined;
  const letGo = async (keepHome = false): Promise<void> => {
    if (running) await stop(running.system, keepHome);
    running = undefined;
  };
  try {
    for (let job = next(); job; job = next()) {
      if ('sabotage' in job) {
        told.sabotaged(await runSabotage(job.sabotage, job.seed, form, told.say));
        continue;
      }
      const { experiment, seed } = job;
      const environment = environmentOf(experiment);
      if (running?.environment !== environment || performance.now() > running.end) await letGo();
      running ??= { system: await startFor(experiment, told.say), environment, journals: [], end: performance.now() + LIFE_MS };
      const result = await runExperiment(running.system, experiment, running.journals, { seed, form, say: told.say });
      told.ran(result);
      if (result.error === undefined && result.violations === 0) continue;
      const keep = process.env['CHAOS_KEEP'] !== undefined;
      told.say(`    its home ${keep ? 'stays' : 'goes, unless CHAOS_KEEP=1 is set'}: ${running.system.home}`);
      await letGo(keep);
    }
  } finally {
    await letGo();
  }
}

async function startFor(experiment: Experiment, say: (line: string) => void, root?: string): Promise<System> {
  return start({ ...wishesOf(experiment), ...(root !== undefined && { root }) }, say);
}

// Never in the full form: a check that needs minutes to see such a thing is none.
async function runSabotage(sabotage: Sabotage, seed: string, form: Form, say: (line: string) => void): Promise<SabotageResult> {
  const { name, title, experiments } = sabotage;
  const root = sabotagedCopy(sabotage);
  const caught = new Set<string>();
  try {
    for (const id of experiments) {
      if (caught.size > 0) break;
      const experiment = EXPERIMENTS.find((one) => one.id === id) as Experiment;
      const system = await startFor(experiment, say, root);
      try {
        const result = await runExperiment(system, { ...experiment, settleLimitMs: SABOTAGED_SETTLE_MS }, [], { seed, form: form === 'brief' ? 'brief' : 'short', say });
        for (const { invariant, violations } of result.audit) if (violations > 0) caught.add(`${invariant} in ${id}`);
        say(`sabotage ${name}: ${line(result)}`);
      } finally {
        await stop(system);
      }
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  return { name, title, caughtBy: [...caught], experiments };
}
