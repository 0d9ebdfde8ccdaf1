import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockFolder } from './lock.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'sandbox-lock-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const field = (pid: number, place: number) => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[place] ?? '';
};
const PATIENCE = { timeout: 10_000, interval: 5 };
const leave = (pid: number, started: string) => writeFileSync(join(folder, 'lock'), JSON.stringify({ pid, started }));

test('a folder is for one process at a time, and free when that one lets go', () => {
  const release = lockFolder(folder);
  expect(() => lockFolder(folder)).toThrow(`in use by the sandbox with process id ${process.pid}`);
  release();
  expect(() => lockFolder(folder)()).not.toThrow();
});

test('the lock of a process id that belongs to somebody else by now does not count', () => {
  leave(process.pid, '1');
  expect(() => lockFolder(folder)()).not.toThrow();
});

test('the lock of a process that was killed does not count, even while its parent has not waited for it', async () => {
  // The shell starts a child and becomes a program that never waits for it.
  const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const pid = Number(await new Promise<string>((resolve) => parent.stdout.once('data', (data: Buffer) => resolve(data.toString()))));
    // As long as it is a shell it does wait, and a child that it has waited for is gone.
    await expect.poll(() => readFileSync(`/proc/${parent.pid}/comm`, 'utf8'), PATIENCE).toBe('sleep\n');
    leave(pid, field(pid, 19));
    expect(() => lockFolder(folder)).toThrow('in use');
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => field(pid, 0), PATIENCE).toBe('Z');
    expect(() => lockFolder(folder)()).not.toThrow();
  } finally {
    parent.kill('SIGKILL');
  }
});
