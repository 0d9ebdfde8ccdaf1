import { expect, test } from 'vitest';
import { CASES, readFlags } from './flags.ts';

test('without flags everything is measured in five rounds', () => {
  expect(readFlags([])).toEqual({ quick: false, together: false, cases: [...CASES], rounds: 5, json: undefined, journeySeconds: 60 });
});

test('a quick run takes fewer rounds, unless it is told how many', () => {
  expect(readFlags(['--quick'])).toMatchObject({ quick: true, rounds: 2, journeySeconds: 8 });
  expect(readFlags(['--quick', '--rounds', '7'])).toMatchObject({ rounds: 7 });
});

test('cases are measured in their own order, and one that does not exist is refused by name', () => {
  expect(readFlags(['--case', 'reads', '--case', 'place'])).toMatchObject({ cases: ['place', 'reads'] });
  expect(() => readFlags(['--case', 'plaice'])).toThrow('plaice');
});

test.each(['0', '1.5', '-1', 'many', '101'])('%s rounds are refused', (rounds) => {
  expect(() => readFlags([`--rounds=${rounds}`])).toThrow('whole number');
});
