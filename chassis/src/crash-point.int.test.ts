import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

const PASSES = `
  import { armCrashPoint, crashPoint } from ${JSON.stringify(new URL('./crash-point.ts', import.meta.url).href)};
  armCrashPoint('shop', process.env.MILLRACE_CRASH_POINT);
  for (const point of ['door.opened', 'till.counted', 'door.opened', 'door.opened']) {
    crashPoint(point);
    process.stdout.write(point + ' ');
  }`;

function run(setting: string | undefined) {
  const env = { ...process.env, ...(setting !== undefined && { MILLRACE_CRASH_POINT: setting }) };
  const { stdout, stderr, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', PASSES], { env, encoding: 'utf8' });
  return { stdout, signal, told: stderr.includes('crash point') };
}

test('without a setting, or with another service\'s, nothing happens', () => {
  const whole = { stdout: 'door.opened till.counted door.opened door.opened ', signal: null, told: false };
  expect(run(undefined)).toEqual(whole);
  expect(run('bank.door.opened')).toEqual(whole);
  expect(run('shop.door')).toEqual(whole);
});

test('the process dies at the point, at the passing that was asked for, and says so', () => {
  expect(run('shop.door.opened')).toEqual({ stdout: '', signal: 'SIGKILL', told: true });
  expect(run('shop.till.counted')).toEqual({ stdout: 'door.opened ', signal: 'SIGKILL', told: true });
  expect(run('shop.door.opened:2')).toEqual({ stdout: 'door.opened till.counted ', signal: 'SIGKILL', told: true });
});
