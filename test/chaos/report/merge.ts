// Results of earlier runs, put together: seeds run one day and experiments run another make one report.
import { readFileSync } from 'node:fs';
import type { Result } from '../run.ts';
import type { SabotageResult } from './report.ts';

export type Results = { results: Result[]; sabotages: SabotageResult[] };

export function merged(files: readonly string[]): Results {
  return combined(files.map((file) => JSON.parse(readFileSync(file, 'utf8')) as Results));
}

/** Of two runs of one experiment, seed and form, or of one sabotage, the later counts. */
export function combined(all: readonly Results[]): Results {
  const results = new Map(all.flatMap((one) => one.results).map((result) => [`${result.experiment} ${result.seed} ${result.form}`, result]));
  const sabotages = new Map(all.flatMap((one) => one.sabotages).map((sabotage) => [sabotage.name, sabotage]));
  return { results: [...results.values()], sabotages: [...sabotages.values()] };
}

/** As JSON with a line for each run, so that a merge adds as many lines as it adds runs. */
export function written({ results, sabotages }: Results): string {
  const lines = (rows: readonly unknown[]): string => rows.map((row) => JSON.stringify(row)).join(',\n');
  return `{"results": [\n${lines(results)}\n], "sabotages": [\n${lines(sabotages)}\n]}\n`;
}
