// What those who watch over a process ask: does it live, can it work, what are its numbers. Nobody needs a token for that, so anybody may ask
// as often as he likes: however many do, they cost no more than a few.
import { sharedLook } from '../flow/shared-look.ts';
import type { Registry } from '../telemetry/metrics.ts';
import type { HttpHandler } from './http-routes.ts';

export type Readiness = { ok: boolean; /** By part of the process, in a word. */ detail: Record<string, string> };

/** Between two looks. A look asks the database; the edge's asks all services. */
const READY_PACE_MS = 100;
/** Between two pages of numbers, of which one costs a millisecond or two. */
const METRICS_PACE_MS = 50;

export function probes({ name, ready }: { name: string; ready: () => Promise<Readiness> }, registry: Registry, stopping: AbortSignal): Record<string, HttpHandler> {
  const look = sharedLook('/readyz', READY_PACE_MS, ready);
  const page = sharedLook('/metrics', METRICS_PACE_MS, async () => registry.metrics());
  return {
    '/healthz': async () => ({ status: 200, body: `${name} is alive\n` }),
    '/readyz': async () => {
      const { ok, detail } = stopping.aborted ? { ok: false, detail: { server: 'stopping' } } : await look();
      return { status: ok ? 200 : 503, body: JSON.stringify({ ok, detail }), headers: { 'content-type': 'application/json' } };
    },
    '/metrics': async () => ({ status: 200, body: await page(), headers: { 'content-type': registry.contentType } }),
  };
}
