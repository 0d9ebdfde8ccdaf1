// Which processes this launcher started, on disk the moment they are: after kill -9 the next start ends what is left.
import { rmSync } from 'node:fs';
import { type Home, readJson, writeAtomically } from './home.ts';
import { type ProcessId, endProcess, isRunning } from './processes.ts';

export type Registry = {
  add(name: string, known: ProcessId): void;
  get(name: string): ProcessId | undefined;
  /** Name → pid of all that were started last under each name. */
  pids(): Record<string, number>;
  all(): [name: string, known: ProcessId][];
  clear(): void;
};

/** Services let go of work in hand when asked; what does not end by then is killed. */
const ORPHAN_GRACE_MS = 2_000;

export function openRegistry(home: Home): Registry {
  const file = home.file('processes.json');
  const known = new Map<string, ProcessId>();
  return {
    add: (name, id) => {
      known.set(name, id);
      writeAtomically(file, JSON.stringify(Object.fromEntries(known)));
    },
    get: (name) => known.get(name),
    pids: () => Object.fromEntries([...known].map(([name, { pid }]) => [name, pid])),
    all: () => [...known],
    clear: () => rmSync(file, { force: true }),
  };
}

/** Ends what a killed launcher left running on this home; returns the names. */
export async function endLeftovers(home: Home): Promise<string[]> {
  const before = Object.entries(readJson<Record<string, ProcessId>>(home.file('processes.json')) ?? {});
  const left = before.filter(([, known]) => isRunning(known));
  await Promise.all(left.map(([name, known]) => endProcess(known, ORPHAN_GRACE_MS, name === 'postgres' ? 'SIGINT' : 'SIGTERM')));
  return left.map(([name]) => name);
}
