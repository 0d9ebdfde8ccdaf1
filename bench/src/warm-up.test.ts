import { expect, test } from 'vitest';
import { createHistogram } from './histogram.ts';
import type { Sample } from './measure.ts';
import { STEP, warmUp } from './warm-up.ts';

const THOROUGH = { quick: false };

/** Orders that cost these microseconds in the order service, step by step; the last cost goes on. */
const costing = (...micros: number[]) => {
  let step = 0;
  return async (calls: number): Promise<Sample> => {
    const cost = micros[Math.min(step++, micros.length - 1)] ?? 0;
    return { rate: 1, done: calls, ms: 1, latencies: createHistogram(), refused: {}, cpu: { order: cost * calls, inventory: 0 }, machine: 0, busy: 1 };
  };
};

test('a system is warm when an order has got no cheaper for three steps', async () => {
  expect((await warmUp([costing(4_000, 2_000, 1_000, 990, 980, 970)], THOROUGH)).cpuPerOrder).toEqual([4_000, 2_000, 1_000, 990, 980, 970]);
});

test('two steps that cost the same are not the end of it: what gets cheaper after them is waited for', async () => {
  expect((await warmUp([costing(1_000, 800, 800, 810, 700, 700, 720, 710)], THOROUGH)).cpuPerOrder).toEqual([1_000, 800, 800, 810, 700, 700, 720, 710]);
});

test('a door at which an order always costs less than at the other keeps no system cold', async () => {
  expect((await warmUp([costing(1_000, 900, 890, 880, 870), costing(600, 540, 530, 520, 510)], THOROUGH)).cpuPerOrder).toEqual([800, 720, 710, 700, 690]);
});

test('a system whose orders get cheaper all the time is cold, and no number of it is taken', async () => {
  await expect(warmUp([costing(...Array.from({ length: 80 }, (_, n) => 100_000 * 0.8 ** n))], THOROUGH)).rejects.toThrow('still cold');
});

test('a system that refuses orders while it warms up is not measured', async () => {
  await expect(warmUp([async (calls) => ({ ...(await costing(1)(calls)), done: calls - 1 })], THOROUGH)).rejects.toThrow(`only ${STEP - 1} of ${STEP}`);
});
