// One of our own Node processes: spawned, and waited for until it answers /readyz.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { COMPILE_CACHE } from './compile-ahead.ts';
import { MALLOC_ARENAS, heapFlags } from './heaps.ts';
import { ROOT } from './home.ts';
import { lastLines, openLog } from './log-files.ts';
import { type ProcessId, identify, until } from './processes.ts';

export type ChildSpec = {
  name: string;
  script: string;
  env: Record<string, string>;
  logFile: string;
  readyUrl: string;
};
export type Running = { exited: Promise<void> };

const READY_DEADLINE_MS = 60_000; // a slow machine with everything starting at once
const PROBE_TIMEOUT_MS = 2_000;

/** Resolves when it may serve; throws with the end of its log when it does not get there. */
export async function startChild({ name, script, env, logFile, readyUrl }: ChildSpec, onSpawn: (known: ProcessId) => void): Promise<Running> {
  const log = openLog(logFile);
  // A group of its own: Ctrl-C in a terminal reaches us alone, and we stop things in their order.
  const child = spawn(process.execPath, [...heapFlags(name), script], { cwd: ROOT, env: { ...COMPILE_CACHE, MALLOC_ARENA_MAX: MALLOC_ARENAS, ...env }, detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  const exited = new Promise<void>((resolve) => child.once('error', () => resolve()).once('exit', () => resolve()));
  const known = child.pid === undefined ? undefined : identify(child.pid);
  if (known) onSpawn(known);
  const ready = await until(async () => {
    if (hasEnded(child)) throw new Error(`${name} ended while starting:\n${lastLines(logFile)}\nIts log: ${logFile}`);
    return answers(readyUrl);
  }, READY_DEADLINE_MS);
  if (ready) return { exited };
  child.kill('SIGKILL');
  await exited;
  throw new Error(`${name} is not ready after ${READY_DEADLINE_MS / 1000} s:\n${lastLines(logFile)}\nIts log: ${logFile}`);
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
