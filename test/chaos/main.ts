// `npm run chaos`: breaks a running Millrace on purpose, audits it, and says what held.
import { rmSync, writeFileSync } from 'node:fs';
import { EXPERIMENTS } from './experiments.ts';
import type { Experiment } from './experiment.ts';
import type { Journal } from './journal.ts';
import { readOptions, USAGE, type Options } from './options.ts';
import { line, markdown, passed, type SabotageResult } from './report.ts';
import { runExperiment, type Result } from './run.ts';
import { sabotagedCopy, type Sabotage } from './sabotages.ts';
import { startSystem, type System } from './system.ts';

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
  const results: Result[] = [];
  const sabotaged: SabotageResult[] = [];
  const { json, markdown: file } = options;
  const write = (): void => {
    if (json !== undefined) writeFileSync(json, `${JSON.stringify({ results, sabotages: sabotaged }, null, 2)}\n`);
    if (file !== undefined) writeFileSync(file, markdown(results, sabotaged));
  };
  await runAll(options, (result) => {
    results.push(result);
    say(line(result));
    write();
  });
  for (const sabotage of options.sabotages) {
    sabotaged.push(await runSabotage(sabotage, options));
    write();
  }
  say(passed(results, sabotaged) ? 'all held' : 'NOT all held');
  return passed(results, sabotaged) ? 0 : 1;
}

// Seeds in the outer loop: a run cut short has seen every experiment. One system serves until it is broken or another environment is wanted.
async function runAll({ experiments, seeds, short }: Options, done: (result: Result) => void): Promise<void> {
  const byEnv = [...Map.groupBy(experiments, ({ env }) => JSON.stringify(env ?? {})).values()];
  for (const alike of byEnv) {
    let running: { system: System; journals: Journal[] } | undefined;
    try {
      for (const seed of seeds) {
        for (const experiment of alike) {
          running ??= { system: await start(experiment), journals: [] };
          const result = await runExperiment(running.system, experiment, running.journals, { seed, short, say });
          done(result);
          if (result.error === undefined && result.violations === 0) continue;
          say(`    its home: ${running.system.home}${process.env['CHAOS_KEEP'] === undefined ? ' (CHAOS_KEEP=1 keeps it)' : ''}`);
          await stop(running.system);
          running = undefined;
        }
      }
    } finally {
      if (running) await stop(running.system);
    }
  }
}

async function start({ env = {} }: Experiment, root?: string): Promise<System> {
  const system = await startSystem({ env, ...(root !== undefined && { root }) });
  up.add(system);
  return system;
}

async function stop(system: System): Promise<void> {
  await system.stop();
  up.delete(system);
}

async function runSabotage(sabotage: Sabotage, { seeds }: Options): Promise<SabotageResult> {
  const root = sabotagedCopy(sabotage);
  const caught = new Set<string>();
  try {
    for (const id of sabotage.experiments) {
      if (caught.size > 0) break;
      const experiment = EXPERIMENTS.find((one) => one.id === id) as Experiment;
      const system = await start(experiment, root);
      try {
        const result = await runExperiment(system, experiment, [], { seed: seeds[0] ?? '1', short: true, say });
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
  await Promise.all([...up].map(stop));
  process.exit(130);
}

if (import.meta.main) {
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => void stopped());
  process.exitCode = await main(process.argv.slice(2));
}
