// The command line: which experiments, which seeds, how long. A wrong name lists the right ones.
import { parseArgs } from 'node:util';
import type { Experiment } from './experiment.ts';
import { EXPERIMENTS } from './experiments.ts';
import { FORM_TITLES, type Form } from './form.ts';
import { SABOTAGES, type Sabotage } from './system/sabotages.ts';

export type Options = {
  experiments: Experiment[];
  sabotages: Sabotage[];
  seeds: string[];
  form: Form;
  parallel: number;
  /** Files of earlier results to make one report of; then nothing runs. */
  merge: string[];
  /** No run begins after so many minutes. */
  minutes: number;
  /** Runs whose results the file of results holds already are not repeated. */
  resume: boolean;
  json: string | undefined;
  markdown: string | undefined;
};

const MAX_SEEDS = 1_000;
const MAX_SEED = 4_294_967_295;
/** Each system takes 1.5 GB and a dozen processes. */
const MAX_PARALLEL = 16;
const MAX_MINUTES = 10_000;

export const USAGE = `npm run chaos -- [flags]     breaks a running Millrace on purpose, and audits it
  --experiment E1,E6     which (default: all)
  --seed S               the first seed, 0 to ${MAX_SEED} (default 1)
  --seeds N              how many seeds, from S on (default 1, at most ${MAX_SEEDS})
  --sabotage NAME,…      sabotaged builds that a check must catch (or "all"); without --experiment nothing else runs
  --brief                ${FORM_TITLES.brief}
  --short                ${FORM_TITLES.short}; without either: ${FORM_TITLES.full}
  --parallel N           systems side by side (default 1, at most ${MAX_PARALLEL})
  --json FILE            all results
  --markdown FILE        the tables
  --minutes N            begins no run after so long (default and at most ${MAX_MINUTES})
  --resume               goes on where --json FILE stopped: its results stay, and what it holds is not run again
  --merge FILE,…         runs nothing: one report of earlier results; of two runs of one experiment, seed and form the later file's counts
MILLRACE_PORT_BASE is where free ports are looked for, from there on.
experiments:
${EXPERIMENTS.map(({ id, title }) => `  ${id.padEnd(5)} ${title}`).join('\n')}
sabotages:
${SABOTAGES.map(({ name, title }) => `  ${name.padEnd(15)} ${title}`).join('\n')}`;

/** Throws with all that can be chosen when something can't. */
export function readOptions(args: string[]): Options | 'help' {
  const { values } = parseArgs({
    args,
    options: {
      experiment: { type: 'string' }, seed: { type: 'string', default: '1' }, seeds: { type: 'string', default: '1' }, sabotage: { type: 'string' },
      brief: { type: 'boolean', default: false }, short: { type: 'boolean', default: false }, parallel: { type: 'string', default: '1' },
      json: { type: 'string' }, markdown: { type: 'string' }, merge: { type: 'string' }, minutes: { type: 'string', default: String(MAX_MINUTES) }, resume: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  if (values.brief && values.short) throw new Error('--brief or --short, not both');
  if (values.resume && values.json === undefined) throw new Error('--resume needs the --json FILE to go on with');
  const first = whole('--seed', values.seed, 0, MAX_SEED);
  const many = whole('--seeds', values.seeds, 1, MAX_SEEDS);
  const sabotages = choose('sabotage', values.sabotage, SABOTAGES, ({ name }) => name);
  return {
    experiments: values.experiment === undefined ? (sabotages.length > 0 ? [] : [...EXPERIMENTS]) : choose('experiment', values.experiment, EXPERIMENTS, ({ id }) => id),
    sabotages,
    seeds: Array.from({ length: many }, (_, i) => String(first + i)),
    form: values.brief ? 'brief' : values.short ? 'short' : 'full',
    parallel: whole('--parallel', values.parallel, 1, MAX_PARALLEL),
    merge: values.merge?.split(',') ?? [],
    minutes: whole('--minutes', values.minutes, 1, MAX_MINUTES),
    resume: values.resume,
    json: values.json,
    markdown: values.markdown,
  };
}

function choose<T>(kind: string, wanted: string | undefined, all: readonly T[], nameOf: (one: T) => string): T[] {
  if (wanted === undefined) return [];
  if (wanted.toLowerCase() === 'all') return [...all];
  return wanted.split(',').map((text) => {
    const found = all.find((one) => nameOf(one).toLowerCase() === text.trim().toLowerCase());
    if (found === undefined) throw new Error(`there is no ${kind} "${text.trim()}"; there are: ${all.map(nameOf).join(', ')}`);
    return found;
  });
}

function whole(flag: string, text: string, least: number, most: number): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < least || number > most) throw new Error(`${flag} must be a whole number from ${least} to ${most}, not "${text}"`);
  return number;
}
