import { expect, test } from 'vitest';
import type { Result } from '../run.ts';
import { markdown, passed } from './report.ts';

const good: Result = {
  experiment: 'E6', title: 'the broker dies', seed: '1', form: 'short', fault: { count: 3, what: 'kills' }, operations: 100, acknowledged: 98, unknown: 2, refused: 0,
  audit: [{ invariant: 'I3', checked: 50, violations: 0, first: [] }], violations: 0, settleMs: { p50: 200, max: 900 }, quietMs: 1_000, goodput: { control: 12, after: 12, recoverMs: 500 }, tookMs: 20_000,
};

const rowOf = (results: Result[]): string => markdown(results, []).split('\n').find((line) => line.startsWith('| E6 ')) ?? '';

test('seeds of one experiment and form are one row, their counts added up and their times the worst', () => {
  const row = rowOf([good, { ...good, seed: '2', settleMs: { p50: 400, max: 3_000 }, goodput: { control: 12, after: 11, recoverMs: 2_000 } }]);
  expect(row.split(' | ').slice(1)).toEqual(['6 kills', '200', '196', '4', 'I3 0 of 100', '0.4 s / 3.0 s', '1.0 s', '96 %', '2.0 s / 2.0 s', '1 to 2 (2) |']);
});

test('a violation, a fault that never happened and a way back that was never found stand out', () => {
  const violated = { ...good, audit: [{ invariant: 'I3', checked: 50, violations: 1, first: [] }], violations: 1 };
  expect(rowOf([violated])).toContain('**I3 1 of 50**');
  expect(rowOf([{ ...good, fault: { count: 0, what: 'kills' } }])).toContain('**no test** (kills)');
  expect(rowOf([{ ...good, goodput: { control: 12, after: 3, recoverMs: undefined } }])).toContain('**never**');
  expect(rowOf([{ ...good, error: 'it broke' }])).toContain('**1 runs failed**');
});

test('seeds that were promised and not run are said', () => {
  const seeds = (n: number) => Array.from({ length: n }, (_, i) => ({ ...good, seed: String(i + 1) }));
  expect(markdown(seeds(2), [])).toMatch(/Promised are 20 seeds of each experiment\. These tables have fewer: none of E1, .*; 2 of E6\./);
  expect(markdown(seeds(20), [])).not.toMatch(/ of E6[,.;]/);
});

test('forms are told apart', () => {
  const text = markdown([good, { ...good, form: 'brief' }], []);
  expect(text.match(/^\| E6 /gm)).toHaveLength(2);
  expect(text.indexOf('The brief form')).toBeLessThan(text.indexOf('The short form'));
});

test('all held only when every fault was seen, nothing was violated and every sabotage caught', () => {
  const sabotage = { name: 'no-inbox', title: 't', caughtBy: ['I11 in E6'], experiments: ['E6'] };
  expect(passed([good], [sabotage])).toBe(true);
  expect(passed([{ ...good, fault: { count: 0, what: 'kills' } }], [])).toBe(false);
  expect(passed([{ ...good, violations: 1 }], [])).toBe(false);
  expect(passed([good], [{ ...sabotage, caughtBy: [] }])).toBe(false);
});
