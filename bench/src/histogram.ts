// Latencies in logarithmic buckets: two digits are kept, whatever their size, and histograms of several rounds add up.

/** Buckets per factor of two: a value is off by at most 1.1 %. */
const STEPS = 64;

export type Histogram = { buckets: Record<number, number>; count: number; sum: number; max: number };

export function createHistogram(): Histogram {
  return { buckets: {}, count: 0, sum: 0, max: 0 };
}

export function record(histogram: Histogram, ms: number): void {
  const bucket = Math.round(Math.log2(Math.max(ms, 0.001)) * STEPS);
  histogram.buckets[bucket] = (histogram.buckets[bucket] ?? 0) + 1;
  histogram.count += 1;
  histogram.sum += ms;
  histogram.max = Math.max(histogram.max, ms);
}

/** The smallest value that this share of all values does not exceed; 0 when there are none. */
export function percentile({ buckets, count, max }: Histogram, share: number): number {
  let left = Math.ceil(count * share);
  for (const bucket of Object.keys(buckets).map(Number).sort((a, b) => a - b)) {
    left -= buckets[bucket] ?? 0;
    if (left <= 0) return Math.min(max, 2 ** (bucket / STEPS));
  }
  return max;
}

export function merge(histograms: Histogram[]): Histogram {
  const all = createHistogram();
  for (const { buckets, count, sum, max } of histograms) {
    for (const bucket of Object.keys(buckets).map(Number)) all.buckets[bucket] = (all.buckets[bucket] ?? 0) + (buckets[bucket] ?? 0);
    all.count += count;
    all.sum += sum;
    all.max = Math.max(all.max, max);
  }
  return all;
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
