import { expect, test } from 'vitest';
import { readFlags } from '../flags.mjs';

test('no flags mean: in the foreground, a process each, seeded at the first start only', () => {
  expect(readFlags([])).toEqual({ detach: false, together: false, help: false, seed: undefined });
});

test('every flag is understood', () => {
  expect(readFlags(['--detach', '--together', '--seed', '40'])).toEqual({ detach: true, together: true, help: false, seed: 40 });
  expect(readFlags(['--seed=0']).seed).toBe(0);
  expect(readFlags(['-h']).help).toBe(true);
});

test.each([[['--detatch'], /Unknown option '--detatch'.*--help/], [['now'], /Unexpected argument 'now'/], [['--seed'], /--seed/], [['--seed', '-1'], /--seed/], [['--seed', '1e9'], /whole number/], [['--seed', '99999999'], /whole number/]])('%j is refused in plain words', (args, words) => {
  expect(() => readFlags(args)).toThrow(words);
});
