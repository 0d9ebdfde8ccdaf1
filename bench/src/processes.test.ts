import { createServer, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { cpuTimes, memory, ownsPort, spent } from './processes.ts';

test.runIf(process.platform === 'linux')('the time that a process computes is counted for its group and for the machine', () => {
  const before = cpuTimes({ mine: process.pid });
  const until = process.cpuUsage().user + 100_000;
  while (process.cpuUsage().user < until);
  const { mine = 0, machine = 0 } = spent(before, cpuTimes({ mine: process.pid }));
  expect(mine).toBeGreaterThanOrEqual(80_000);
  expect(machine).toBeGreaterThanOrEqual(mine - 20_000);
});

test.runIf(process.platform === 'linux')('a port belongs to whoever listens on it and to nobody else', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  expect(ownsPort(process.pid, port)).toBe(true);
  expect(ownsPort(1, port)).toBe(false);
  await new Promise((resolve) => server.close(resolve));
  expect(ownsPort(process.pid, port)).toBe(false);
});

test.runIf(process.platform === 'linux')('memory is never less for all than for what is proportionally ours', () => {
  const { pss, rss } = memory([process.pid]);
  expect(pss).toBeGreaterThan(10);
  expect(rss).toBeGreaterThanOrEqual(pss);
});
