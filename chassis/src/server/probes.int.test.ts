import { expect, it } from 'vitest';
import { openSession } from '../../test/callers.ts';
import { startStub } from '../../test/stub-server.ts';
import { createRegistry, gauge } from '../telemetry/metrics.ts';

const MANY = 300;
const statuses = async (url: string): Promise<Set<number>> => new Set(await Promise.all(Array.from({ length: MANY }, async () => (await fetch(url)).status)));

it('looks a few times for hundreds who ask whether it is ready, and for its numbers', async () => {
  const looks = { ready: 0, pages: 0 };
  const metrics = createRegistry('product');
  gauge(metrics, 'looks', 'Pages made.', () => (looks.pages += 1));
  await using server = await startStub({}, { metrics, ready: async () => ({ ok: (looks.ready += 1) > 0, detail: {} }) });
  const began = performance.now();
  expect(await statuses(`${server.url}/readyz`)).toEqual(new Set([200]));
  expect(await statuses(`${server.url}/metrics`)).toEqual(new Set([200]));
  const took = performance.now() - began;
  expect(looks.ready).toBeLessThanOrEqual(2 + took / 100);
  expect(looks.pages).toBeLessThanOrEqual(2 + took / 50);
});

it('tells nobody what was before he asked', async () => {
  let isAway = false;
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  await using server = await startStub({}, {
    async ready() {
      const seen = { ok: !isAway, detail: {} };
      begun.resolve();
      await gate.promise;
      return seen;
    },
  });
  await using session = openSession(server.url);
  const ask = async (path: string): Promise<number> => (await session.request({ ':method': 'GET', ':path': path })).status;
  const before = ask('/readyz');
  await begun.promise;
  isAway = true;
  const after = ask('/readyz');
  await ask('/healthz'); // by now the server has seen both
  gate.resolve();
  expect([await before, await after]).toEqual([200, 503]);
});

it('says it when a look fails, and looks again', async () => {
  let looks = 0;
  await using server = await startStub({}, {
    async ready() {
      looks += 1;
      if (looks === 1) throw new Error('no socket left');
      return { ok: true, detail: {} };
    },
  });
  expect([(await fetch(`${server.url}/readyz`)).status, (await fetch(`${server.url}/readyz`)).status]).toEqual([500, 200]);
});
