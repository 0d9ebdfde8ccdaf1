// Processes by pid and start time: a pid alone may belong to somebody else after a reboot or a wrap-around.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export type ProcessId = { pid: number; started: string };

const POLL_MS = 20;

/** The running process with this pid, or undefined when there is none (a zombie counts as none). */
export function identify(pid: number): ProcessId | undefined {
  const started = process.platform === 'linux' ? linuxStartTime(pid) : portableStartTime(pid);
  return started === undefined ? undefined : { pid, started };
}

export function isRunning(known: ProcessId): boolean {
  return identify(known.pid)?.started === known.started;
}

/** Sends the signal if this very process still runs; says whether it did. */
export function signal(known: ProcessId, name: NodeJS.Signals): boolean {
  if (!isRunning(known)) return false;
  try {
    process.kill(known.pid, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Asks a process to end, waits up to graceMs, then kills it. */
export async function endProcess(known: ProcessId, graceMs: number, polite: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (!signal(known, polite)) return;
  if (await until(() => !isRunning(known), graceMs)) return;
  signal(known, 'SIGKILL');
  await until(() => !isRunning(known), 2_000);
}

/** Waits for a condition; false when the deadline came first. */
export async function until(condition: () => boolean | Promise<boolean>, deadlineMs: number): Promise<boolean> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) return false;
    await sleep(POLL_MS);
  }
  return true;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

function linuxStartTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name may hold spaces and brackets, so fields are counted from its closing bracket.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, started] = [fields[0], fields[19]];
    return state === 'Z' || state === 'X' ? undefined : started;
  } catch {
    return undefined;
  }
}

function portableStartTime(pid: number): string | undefined {
  const { status, stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
  const started = stdout?.trim();
  return status === 0 && started ? started : undefined;
}
