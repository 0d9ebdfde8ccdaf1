// The folder of one test run: what it started is recorded there, so that nothing outlives the run unseen.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type ProcessId, endProcess, identify, isRunning } from '../../local/src/processes.ts';

export type Tracked = ProcessId & { name: string };

const PREFIX = 'millrace-test-';

export function openRunFolder(): string {
  sweepAbandonedRuns();
  const folder = mkdtempSync(path.join(tmpdir(), PREFIX));
  chmodSync(folder, 0o711); // Postgres runs as another user when we are root
  mkdirSync(path.join(folder, 'processes'));
  writeFileSync(path.join(folder, 'owner.json'), JSON.stringify(identify(process.pid)));
  return folder;
}

/** Remembers a process that the run must not leave behind. */
export function track(folder: string, name: string, pid: number | undefined): void {
  const known = pid === undefined ? undefined : identify(pid);
  if (known) writeFileSync(path.join(folder, 'processes', `${known.pid}.json`), JSON.stringify({ ...known, name }));
}

export function stillRunning(folder: string): Tracked[] {
  const list = path.join(folder, 'processes');
  if (!existsSync(list)) return [];
  return readdirSync(list)
    .map((file) => JSON.parse(readFileSync(path.join(list, file), 'utf8')) as Tracked)
    .filter(isRunning);
}

// A run that was killed could not clean up; the next one does.
function sweepAbandonedRuns(): void {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const folder = path.join(tmpdir(), name);
    try {
      const owner = JSON.parse(readFileSync(path.join(folder, 'owner.json'), 'utf8')) as ProcessId;
      if (isRunning(owner)) continue;
      for (const left of stillRunning(folder)) process.kill(left.pid, 'SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // being made by another run at this moment, or not ours to remove
    }
  }
}

export async function endAll(processes: Tracked[]): Promise<void> {
  await Promise.all(processes.map((known) => endProcess(known, 1_000)));
}
