// The order of going down: first nobody comes in any more, then work in hand ends, then what it ended on.
import { endProcess, signal } from './processes.ts';
import type { Registry } from './registry.ts';
import { SERVICES } from './nats-permissions.ts';

type Phase = { names: readonly string[]; graceMs: number; polite: NodeJS.Signals };

/** Together they stay below five seconds, killing included. */
const PHASES: Phase[] = [
  { names: ['edge'], graceMs: 800, polite: 'SIGTERM' },
  { names: [...SERVICES, 'together'], graceMs: 1_700, polite: 'SIGTERM' },
  { names: ['sandbox', 'nats'], graceMs: 700, polite: 'SIGTERM' },
  { names: ['postgres'], graceMs: 1_200, polite: 'SIGINT' }, // SIGTERM would wait for clients to leave
];

const WHOLE_MS = PHASES.reduce((sum, { graceMs }) => sum + graceMs, 0);

export async function stopInOrder(registry: Registry): Promise<void> {
  const end = performance.now() + WHOLE_MS;
  for (const [index, { names, graceMs, polite }] of PHASES.entries()) {
    // What the phases before did not need is Postgres', whose last checkpoint may take a while.
    const grace = index === PHASES.length - 1 ? Math.max(graceMs, end - performance.now()) : graceMs;
    const running = names.map((name) => registry.get(name)).filter((known) => known !== undefined);
    await Promise.all(running.map((known) => endProcess(known, grace, polite)));
  }
}

export function killAll(registry: Registry): void {
  for (const [, known] of registry.all()) signal(known, 'SIGKILL');
}
