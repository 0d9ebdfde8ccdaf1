import { expect, test } from 'vitest';
import { createHistogram, median, merge, percentile, record } from './histogram.ts';

test('a percentile is within two percent of the sorted list', () => {
  const histogram = createHistogram();
  const values = Array.from({ length: 10_000 }, (_, i) => 0.05 * 1.001 ** i);
  for (const value of values) record(histogram, value);
  for (const share of [0.5, 0.99, 0.999]) {
    const exact = values[Math.ceil(values.length * share) - 1] ?? 0;
    expect(Math.abs(percentile(histogram, share) / exact - 1)).toBeLessThan(0.02);
  }
});

test('merged histograms answer as one that saw everything', () => {
  const parts = [createHistogram(), createHistogram()];
  const whole = createHistogram();
  for (let i = 1; i <= 1_000; i += 1) {
    record(parts[i % 2] ?? whole, i);
    record(whole, i);
  }
  expect(merge(parts)).toEqual(whole);
});

test('an empty histogram has no latency, and the largest value is never exceeded', () => {
  expect(percentile(createHistogram(), 0.99)).toBe(0);
  const histogram = createHistogram();
  record(histogram, 7.03);
  expect(percentile(histogram, 1)).toBeLessThanOrEqual(7.03);
});

test('the median of an even number of rounds lies between the middle two', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([9, 1, 5])).toBe(5);
});
