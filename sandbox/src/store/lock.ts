// One sandbox per data folder: two writers would tear each other's journal. The lock names a process and, where the
// system tells, its start time, so that a lock left by kill -9 never blocks the next start.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export function lockFolder(folder: string): () => void {
  const path = join(folder, 'lock');
  const holder = readHolder(path);
  if (holder && isRunning(holder)) {
    throw new Error(`SANDBOX_DATA ${folder} is in use by the sandbox with process id ${holder.pid}`);
  }
  writeFileSync(path, JSON.stringify({ pid: process.pid, started: startTime(process.pid) }));
  return () => rmSync(path, { force: true });
}

interface Holder {
  pid: number;
  started: string | null;
}

function readHolder(path: string): Holder | undefined {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as Holder;
    return typeof value.pid === 'number' ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRunning(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return startTime(holder.pid) === holder.started;
}

/** Null without /proc: there the process id alone decides. A zombie, killed but not yet waited for by its parent, has started at no time. */
function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // from field 3 on; the name before it may hold spaces
    return /^[ZX]$/.test(fields[0] ?? '') ? 'never' : (fields[19] ?? null);
  } catch {
    return null;
  }
}
