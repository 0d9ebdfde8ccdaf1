import { expect, test } from 'vitest';
import { CASES, readFlags } from './flags.ts';

test('without flags everything is measured in five rounds', () => {
  expect(readFlags([])).toEqual({ quick: false, together: false, cases: [...CASES], rounds: 5, json: undefined, journeySeconds: 60, fill: undefined, streams: false, soakMinutes: undefined });
});

test('a quick run takes fewer rounds, unless it is told how many', () => {
  expect(readFlags(['--quick'])).toMatchObject({ quick: true, rounds: 2, journeySeconds: 8 });
  expect(readFlags(['--quick', '--rounds', '7'])).toMatchObject({ rounds: 7 });
});

test('a quick run leaves out what takes long, unless it is named', () => {
  expect(readFlags(['--quick'])).toMatchObject({ cases: CASES.filter((name) => name !== 'growth') });
  expect(readFlags(['--quick', '--case', 'growth'])).toMatchObject({ cases: ['growth'] });
});

test('a soak is of half an hour unless it is told how long, and is no other run', () => {
  expect(readFlags(['--soak'])).toMatchObject({ soakMinutes: 30 });
  expect(readFlags(['--soak', '--json', 'x'])).toMatchObject({ soakMinutes: 30, json: 'x' });
  expect(readFlags(['--soak', '5'])).toMatchObject({ soakMinutes: 5 });
  expect(() => readFlags(['--soak', '5', '--fill', '100'])).toThrow('two runs');
  expect(() => readFlags(['--streams'])).toThrow('--fill');
  expect(() => readFlags(['--fill', 'many'])).toThrow('whole number');
});

test('cases are measured in their own order, and one that does not exist is refused by name', () => {
  expect(readFlags(['--case', 'reads', '--case', 'place'])).toMatchObject({ cases: ['place', 'reads'] });
  expect(() => readFlags(['--case', 'plaice'])).toThrow('plaice');
});

test.each(['0', '1.5', '-1', 'many', '101'])('%s rounds are refused', (rounds) => {
  expect(() => readFlags([`--rounds=${rounds}`])).toThrow('whole number');
});
