// I15: whether the processes are the ones they were, answer, and hold no more than they did.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { SERVICES } from '../../../local/src/nats-permissions.ts';
import { identify, type ProcessId } from '../../../local/src/processes.ts';
import type { System } from '../system/system.ts';
import { until } from '../wait.ts';
import type { AuditRow } from './audit.ts';
import { tally } from './tally.ts';

export type Vitals = { url: string; known: ProcessId; descriptors: number };

const MAX_RSS_BYTES = 700 * 1024 ** 2;
/** A pool that grew by some connections, a log that was opened anew. */
const MORE_DESCRIPTORS = 40;
/** Idle connections are closed after a minute at the latest. */
const RELEASE_LIMIT_MS = 90_000;

export async function vitalsOf(system: System): Promise<Map<string, Vitals>> {
  const { edge, services } = system.runtime;
  return new Map(['edge', ...SERVICES].map((name) => {
    const known = identify(system.pid(name));
    if (!known) throw new Error(`${name} does not run`);
    return [name, { url: name === 'edge' ? edge : services[name as 'order'], known, descriptors: descriptorsOf(known.pid) }];
  }));
}

/** Compared with how they were before. */
export async function survived(system: System, before: ReadonlyMap<string, Vitals>): Promise<AuditRow> {
  const seen = tally('I15');
  for (const [name, { url, known, descriptors }] of before) {
    const now = identify(system.pid(name));
    seen.look(name, now?.pid === known.pid && now.started === known.started ? undefined : 'is not the process that it was');
    const alive = await fetch(`${url}/healthz`).then(({ status }) => `healthz says ${status}`, (error: unknown) => String(error));
    seen.look(name, alive === 'healthz says 200' ? undefined : alive);
    if (now === undefined || !existsSync('/proc/self/fd')) continue;
    const rss = rssOf(now.pid);
    seen.look(name, rss > MAX_RSS_BYTES ? `holds ${(rss / 1024 ** 2).toFixed(0)} MiB` : undefined);
    const most = descriptors + MORE_DESCRIPTORS;
    const released = await until(`${name} lets go`, RELEASE_LIMIT_MS, () => descriptorsOf(now.pid) <= most).catch(() => false);
    seen.look(name, released ? undefined : `holds ${descriptorsOf(now.pid)} file descriptors, ${descriptors} before`);
  }
  return seen.row();
}

function descriptorsOf(pid: number): number {
  return existsSync(`/proc/${pid}/fd`) ? readdirSync(`/proc/${pid}/fd`).length : 0;
}

function rssOf(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
}
