import { expect, test } from 'vitest';
import { EXPERIMENTS } from './experiments.ts';
import { readOptions } from './options.ts';

test('a wrong experiment, sabotage or seed lists the right ones', () => {
  expect(() => readOptions(['--experiment', 'E1,E99'])).toThrow(`there is no experiment "E99"; there are: ${EXPERIMENTS.map(({ id }) => id).join(', ')}`);
  expect(() => readOptions(['--sabotage', 'none'])).toThrow(/there are: no-inbox, /);
  expect(() => readOptions(['--seed=-1'])).toThrow('--seed must be a whole number');
  expect(() => readOptions(['--seed=x'])).toThrow('--seed must be a whole number from 0 to 4294967295, not "x"');
  expect(() => readOptions(['--seeds', '0'])).toThrow('--seeds must be a whole number from 1 to 1000');
});

test('names are found whatever their case, seeds count up from the first', () => {
  const options = readOptions(['--experiment', 'e6, E14', '--seed', '7', '--seeds', '3']);
  expect(options).toMatchObject({ seeds: ['7', '8', '9'], form: 'full', parallel: 1, merge: [] });
  expect(options === 'help' ? [] : options.experiments.map(({ id }) => id)).toEqual(['E6', 'E14']);
});

test('the form is full unless said otherwise, and can only be one', () => {
  expect(readOptions(['--brief'])).toMatchObject({ form: 'brief' });
  expect(readOptions(['--short'])).toMatchObject({ form: 'short' });
  expect(() => readOptions(['--short', '--brief'])).toThrow('--brief or --short, not both');
});

test('only a file of results can be gone on with', () => {
  expect(() => readOptions(['--resume'])).toThrow('--resume needs the --json FILE');
  expect(readOptions(['--resume', '--json', 'r.json', '--minutes', '5'])).toMatchObject({ resume: true, json: 'r.json', minutes: 5 });
});

test('without names all experiments run and no sabotage', () => {
  expect(readOptions([])).toMatchObject({ experiments: EXPERIMENTS, sabotages: [], seeds: ['1'] });
});

test('no two experiments have the same name', () => {
  expect(new Set(EXPERIMENTS.map(({ id }) => id)).size).toBe(EXPERIMENTS.length);
});
