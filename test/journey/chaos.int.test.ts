// The brief seeded form of the chaos suite: services that die at their crash points, a broker that dies, lost answers of the provider, and
// repeated webhooks.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Journal } from '../chaos/buyers/journal.ts';
import { E3 } from '../chaos/experiments/crash-points.ts';
import { E6 } from '../chaos/experiments/kills.ts';
import { E14, E17 } from '../chaos/experiments/provider.ts';
import { line } from '../chaos/report/report.ts';
import { runExperiment } from '../chaos/run.ts';
import { startSystem, type System } from '../chaos/system/system.ts';
import { newFolder, trackProcess } from '../support/servers.ts';

const SEED = process.env['MILLRACE_SEED'] ?? '1';

let system: System;
const journals: Journal[] = [];
beforeAll(async () => {
  system = await startSystem({ home: newFolder('chaos'), onSpawn: (pid) => trackProcess('launcher', pid) });
}, 120_000);
afterAll(async () => system.stop(), 30_000);

test.each([E3, E6, E14, E17])('$id: $title: no invariant is violated', async (experiment) => {
  const result = await runExperiment(system, experiment, journals, { seed: SEED, form: 'brief', say: console.log });
  console.log(line(result));
  expect(result.error).toBeUndefined();
  expect(result.fault.count).toBeGreaterThan(0);
  expect(result.acknowledged).toBeGreaterThan(0);
  expect(result.audit.filter(({ violations }) => violations > 0)).toEqual([]);
}, 240_000);
