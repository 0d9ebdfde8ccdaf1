import { expect, test } from 'vitest';
import { goals } from './goals.ts';
import type { Figure } from './measure.ts';
import type { Results } from './run.ts';

const figure = (changes: Partial<Figure> = {}): Figure => ({ rate: 100, rates: [100], p50: 1, p99: 2, p999: 3, cpu: {}, busy: 0, strangers: 0, refused: {}, ...changes });
const results = (changes: Partial<Results> = {}): Results => ({ together: false, warmUp: { orders: 0, cpuPerOrder: [] }, figures: {}, batches: {}, drained: {}, journey: undefined, memory: { pss: 0, rss: 0 }, acknowledged: { orders: 0, unknown: 0, reservations: 0, journeys: 0 }, ...changes });
const named = (all: ReturnType<typeof goals>, words: string) => all.find(({ name }) => name.includes(words));

test('what was not measured is neither reached nor missed', () => {
  expect(goals(results(), undefined, undefined).map(({ reached }) => reached)).toEqual(goals(results(), undefined, undefined).map(() => undefined));
});

test('placing is compared with the insert of the same run', () => {
  const at = (rate: number) => goals(results({ figures: { 'limit: insert': figure({ rate: 1_000 }), 'place, order, 64': figure({ rate }) } }), undefined, undefined);
  expect([named(at(500), 'apart, 64 clients, at the order')?.reached, named(at(499), 'apart, 64 clients, at the order')?.reached]).toEqual([true, false]);
});

test('a journey whose backlog grew is not sustained, however fast', () => {
  const journey = { rate: 900, most: 950, seconds: 60, p50: 1, p99: 1, cpu: {}, busy: 1 };
  expect(named(goals(results({ journey: { ...journey, backlog: [100, 110] } }), undefined, undefined), 'whole journey')?.reached).toBe(true);
  expect(named(goals(results({ journey: { ...journey, backlog: [100, 200] } }), undefined, undefined), 'whole journey')).toMatchObject({ reached: false, measured: expect.stringContaining('the backlog grew') as string });
});

test('of the backlogs the one that is drained slowest counts', () => {
  const drain = (rate: number) => ({ rate, cpu: {}, busy: 2 });
  const drained = { 'order ← PAYMENTS': drain(9_999), 'inventory ← PAYMENTS': drain(12_000) };
  expect(named(goals(results({ drained }), undefined, undefined), 'a consumer')).toMatchObject({ name: expect.stringContaining('order ← PAYMENTS') as string, reached: false });
});

test('growth is the cost with most orders against the cost with fewest', () => {
  const growth = (last: number) => [{ orders: 10_000, figure: figure({ cpu: { order: 300, postgres: 100, client: 999 } }) }, { orders: 1_000_000, figure: figure({ cpu: { order: 300, postgres: last } }) }];
  expect(named(goals(results(), undefined, growth(150)), '1,000,000')).toMatchObject({ measured: '1.13 ×', reached: true });
  expect(named(goals(results(), undefined, growth(200)), '1,000,000')).toMatchObject({ measured: '1.25 ×', reached: false });
});
