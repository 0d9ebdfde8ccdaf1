import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { trackProcess } from '../../test/support/servers.ts';
import { endProcess, identify, isRunning, signal } from './processes.ts';

async function start(script: string): Promise<number> {
  const child = spawn(process.execPath, ['-e', `${script}; process.stdout.write('up'); setInterval(() => {}, 1000)`], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.pid === undefined) throw new Error('not started');
  trackProcess('child', child.pid);
  await once(child.stdout, 'data');
  return child.pid;
}

test('a process that has ended, and one that never was, are not running', async () => {
  const known = identify(await start(''));
  if (!known) throw new Error('it should run');
  expect(isRunning(known)).toBe(true);
  await endProcess(known, 5_000);
  expect(isRunning(known)).toBe(false);
  expect(identify(2 ** 22 + 1)).toBeUndefined();
});

test('a pid that belongs to somebody else by now is left alone', async () => {
  const known = identify(await start(''));
  if (!known) throw new Error('it should run');
  const earlier = { ...known, started: `${known.started}0` };
  expect(isRunning(earlier)).toBe(false);
  expect(signal(earlier, 'SIGKILL')).toBe(false);
  expect(isRunning(known)).toBe(true);
  await endProcess(known, 5_000);
});

test('what does not end when asked is killed', async () => {
  const known = identify(await start("process.on('SIGTERM', () => {})"));
  if (!known) throw new Error('it should run');
  await endProcess(known, 100);
  expect(isRunning(known)).toBe(false);
});
