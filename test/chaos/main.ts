// `npm run chaos`: breaks a running Millrace on purpose, audits it, and says what held.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { mayMount } from './disk.ts';
import { EXPERIMENTS } from './experiments.ts';
import type { Experiment } from './experiment.ts';
import type { Form } from './form.ts';
import type { Journal } from './journal.ts';
import { merged } from './merge.ts';
import { readOptions, USAGE, type Options } from './options.ts';
import { line, markdown, passed, type SabotageResult } from './report.ts';
import { runExperiment, type Result } from './run.ts';
import { sabotagedCopy, type Sabotage } from './sabotages.ts';
import { startSystem, type System, type SystemOptions } from './system.ts';

const START_TRIES = 3;

/** What runs now, to be taken down when somebody stops us. */
const up = new Set<System>();
const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(args: string[]): Promise<number> {
  let options: Options | 'help';
  try {
    options = readOptions(args);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return 2;
  }
  if (options === 'help') {
    say(USAGE);
    return 0;
  }
  const earlier = options.resume && existsSync(options.json ?? '') ? [options.json as string] : options.merge;
  const { results: all, sabotages } = merged(earlier);
  // A run that failed by itself tells nothing, and is made again.
  const results = options.resume ? all.filter(({ error }) => error === undefined) : all;
  const write = (): void => {
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ results, sabotages }, null, 2)}\n`);
    if (options.markdown !== undefined) writeFileSync(options.markdown, markdown(results, sabotages));
  };
  write();
  if (options.merge.length === 0) {
    const done = (result: Result): void => {
      results.push(result);
      say(line(result));
      write();
    };
    await inLanes(options, jobsOf(options, results), async (next) => runJobs(next, options.form, done));
    await inLanes(options, options.sabotages, async (next) => {
      for (let sabotage = next(); sabotage; sabotage = next()) {
        sabotages.push(await runSabotage(sabotage, options));
        write();
      }
    });
  }
  const held = passed(results, sabotages);
  say(held ? 'all held' : 'NOT all held');
  return held ? 0 : 1;
}

type Job = { experiment: Experiment; seed: string };

// Seeds in the outer loop: a run cut short has seen every experiment. Experiments with the same environment follow each other.
function jobsOf({ experiments, seeds, form }: Options, earlier: readonly Result[]): Job[] {
  const [possible, others] = [experiments.filter(isPossible), experiments.filter((one) => !isPossible(one))];
  if (others.length > 0) say(`left out, as they need root: ${others.map(({ id }) => id).join(', ')}`);
  const alike = [...Map.groupBy(possible, environmentOf).values()];
  const known = new Set(earlier.map(({ experiment, seed, form: had }) => `${experiment} ${seed} ${had}`));
  return alike.flatMap((some) => seeds.flatMap((seed) => some.map((experiment) => ({ experiment, seed })))).filter(({ experiment, seed }) => !known.has(`${experiment.id} ${seed} ${form}`));
}

async function inLanes<T>({ parallel, minutes }: Options, work: readonly T[], lane: (next: () => T | undefined) => Promise<void>): Promise<void> {
  const queue = [...work];
  const end = performance.now() + minutes * 60_000;
  const next = (): T | undefined => (performance.now() > end ? undefined : queue.shift());
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(parallel, work.length) }, async () => lane(next)));
  for (const one of lanes) if (one.status === 'rejected') throw one.reason;
}

// One system serves until it is broken or another environment is wanted.
async function runJobs(next: () => Job | undefined, form: Form, done: (result: Result) => void): Promise<void> {
  let running: { system: System; environment: string; journals: Journal[] } | undefined;
  try {
    for (let job = next(); job; job = next()) {
      const { experiment, seed } = job;
      const environment = environmentOf(experiment);
      if (running && running.environment !== environment) {
        await stop(running.system);
        running = undefined;
      }
      running ??= { system: await start(experiment), environment, journals: [] };
      const result = await runExperiment(running.system, experiment, running.journals, { seed, form, say });
      done(result);
      if (result.error === undefined && result.violations === 0) continue;
      const keep = process.env['CHAOS_KEEP'] !== undefined;
      say(`    its home ${keep ? 'stays' : 'goes, unless CHAOS_KEEP=1 is set'}: ${running.system.home}`);
      await stop(running.system, keep);
      running = undefined;
    }
  } finally {
    if (running) await stop(running.system);
  }
}

const isPossible = ({ disk }: Experiment): boolean => disk === undefined || mayMount();
const environmentOf = ({ env = {}, disk }: Experiment): string => JSON.stringify({ env, disk });

let lastStart: Promise<unknown> = Promise.resolve();

async function start({ env = {}, disk }: Experiment, root?: string): Promise<System> {
  // One at a time: ten processes that all start at once are late on a busy machine.
  const starting = lastStart.then(async () => startAgain({ env, ...(disk && { disk }), ...(root !== undefined && { root }) }));
  lastStart = starting.catch(() => {});
  const system = await starting;
  up.add(system);
  return system;
}

// A start that was too slow is no result; one that never succeeds is the end of the run.
async function startAgain(options: SystemOptions): Promise<System> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await startSystem(options);
    } catch (error) {
      if (tries >= START_TRIES) throw error;
      say(`starting once more: ${(error as Error).message}`);
    }
  }
}

async function stop(system: System, keepHome = false): Promise<void> {
  await system.stop(keepHome);
  up.delete(system);
}

// Never in the full form: a check that needs minutes to see such a thing is none.
async function runSabotage(sabotage: Sabotage, { seeds, form }: Options): Promise<SabotageResult> {
  const root = sabotagedCopy(sabotage);
  const caught = new Set<string>();
  try {
    for (const id of sabotage.experiments) {
      if (caught.size > 0) break;
      const experiment = EXPERIMENTS.find((one) => one.id === id) as Experiment;
      const system = await start(experiment, root);
      try {
        const result = await runExperiment(system, experiment, [], { seed: seeds[0] ?? '1', form: form === 'brief' ? 'brief' : 'short', say });
        for (const { invariant, violations } of result.audit) if (violations > 0) caught.add(`${invariant} in ${id}`);
        say(`sabotage ${sabotage.name}: ${line(result)}`);
      } finally {
        await stop(system);
      }
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  return { name: sabotage.name, title: sabotage.title, caughtBy: [...caught], experiments: sabotage.experiments };
}

async function stopped(): Promise<void> {
  say('stopping …');
  await Promise.all([...up].map(async (system) => stop(system)));
  process.exit(130);
}

if (import.meta.main) {
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => void stopped());
  process.exitCode = await main(process.argv.slice(2));
}
