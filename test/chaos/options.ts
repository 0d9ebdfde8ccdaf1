// The command line: which experiments, which seeds. A wrong name lists the right ones.
import { parseArgs } from 'node:util';
import { EXPERIMENTS } from './experiments.ts';
import type { Experiment } from './experiment.ts';
import { SABOTAGES, type Sabotage } from './sabotages.ts';

export type Options = { experiments: Experiment[]; sabotages: Sabotage[]; seeds: string[]; short: boolean; json: string | undefined; markdown: string | undefined };

const MAX_SEEDS = 1_000;
const MAX_SEED = 4_294_967_295;

export const USAGE = `npm run chaos -- [flags]     breaks a running Millrace on purpose, and audits it
  --experiment E1,E6     which (default: all)
  --seed S               the first seed, 0 to ${MAX_SEED} (default 1)
  --seeds N              how many seeds, from S on (default 1, at most ${MAX_SEEDS})
  --sabotage NAME,…      sabotaged builds that a check must catch (or "all"); without --experiment nothing else runs
  --short                half a minute where the full form takes minutes
  --json FILE            all results
  --markdown FILE        the tables
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
      short: { type: 'boolean', default: false }, json: { type: 'string' }, markdown: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const first = whole('--seed', values.seed, 0, MAX_SEED);
  const many = whole('--seeds', values.seeds, 1, MAX_SEEDS);
  const sabotages = choose('sabotage', values.sabotage, SABOTAGES, ({ name }) => name);
  return {
    experiments: values.experiment === undefined ? (sabotages.length > 0 ? [] : [...EXPERIMENTS]) : choose('experiment', values.experiment, EXPERIMENTS, ({ id }) => id),
    sabotages,
    seeds: Array.from({ length: many }, (_, i) => String(first + i)),
    short: values.short,
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
