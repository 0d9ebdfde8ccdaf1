import { expect, test } from 'vitest';
import { combined, written, type Results } from './merge.ts';

const run = (experiment: string, seed: string, form: string, operations: number): Results['results'][number] => ({ experiment, seed, form, operations }) as Results['results'][number];

test('of two runs of one experiment, seed and form the later counts', () => {
  const { results } = combined([
    { results: [run('E1', '1', 'brief', 10), run('E1', '2', 'brief', 20)], sabotages: [] },
    { results: [run('E1', '1', 'brief', 30), run('E1', '1', 'short', 40)], sabotages: [] },
  ]);
  expect(results.map(({ seed, form, operations }) => [seed, form, operations])).toEqual([['1', 'brief', 30], ['2', 'brief', 20], ['1', 'short', 40]]);
});

test('a sabotage is told once, as it was last seen', () => {
  const told = (caughtBy: string[]): Results => ({ results: [], sabotages: [{ name: 'no-inbox', title: 't', caughtBy, experiments: ['E6'] }] });
  expect(combined([told([]), told(['I11 in E6'])]).sabotages.map(({ caughtBy }) => caughtBy)).toEqual([['I11 in E6']]);
});

test('what is written is JSON, a line for each run', () => {
  const results: Results = { results: [run('E1', '1', 'brief', 10), run('E1', '2', 'brief', 20)], sabotages: [{ name: 'no-inbox', title: 't', caughtBy: [], experiments: ['E6'] }] };
  expect(JSON.parse(written(results))).toEqual(results);
  expect(written(results).split('\n').filter((line) => line.includes('"E1"'))).toHaveLength(2);
  const none: Results = { results: [], sabotages: [] };
  expect(JSON.parse(written(none))).toEqual(none);
});
