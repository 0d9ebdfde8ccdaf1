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

export async function stopInOrder(registry: Registry): Promise<void> {
  for (const { names, graceMs, polite } of PHASES) {
    const running = names.map((name) => registry.get(name)).filter((known) => known !== undefined);
    await Promise.all(running.map((known) => endProcess(known, graceMs, polite)));
  }
}

export function killAll(registry: Registry): void {
  for (const [, known] of registry.all()) signal(known, 'SIGKILL');
}
