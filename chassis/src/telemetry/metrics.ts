// What /metrics shows: the process (memory, event loop, CPU), every RPC, and what a service adds.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { uncaughtErrors } from './uncaught.ts';

export type { Registry } from 'prom-client';

/** `code` as Connect spells it ("not_found"), or "ok". */
export type ObserveCall = (rpc: string, code: string, seconds: number) => void;
/** `route` as it was announced, never what was asked for: labels live as long as the process. */
export type ObserveRequest = (route: string, status: number) => void;

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** How often the lag of the event loop is looked at. Every 10 ms, as is usual, is a hundred wake-ups a second of each process, which then also wait for the work at hand. */
const LAG_SAMPLE_MS = 100;

export function createRegistry(service: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_SAMPLE_MS });
  gauge(registry, 'millrace_uncaught_errors', 'Errors that no code caught, since the process started.', uncaughtErrors);
  return registry;
}

/** A value that is read when somebody looks: a backlog, a pool's size. */
export function gauge(registry: Registry, name: string, help: string, read: () => number | Promise<number>): void {
  // oxlint-disable-next-line no-new -- a metric registers itself
  new Gauge({
    name,
    help,
    registers: [registry],
    async collect() {
      this.set(await read());
    },
  });
}

/** Values by the service that says them, read when somebody looks; what is not known then is not shown. */
export function gaugeOfEach(registry: Registry, name: string, help: string, read: () => Promise<ReadonlyMap<string, number>>): void {
  // oxlint-disable-next-line no-new -- a metric registers itself
  new Gauge({
    name,
    help,
    labelNames: ['said_by'],
    registers: [registry],
    async collect() {
      const values = await read();
      this.reset();
      for (const [said_by, value] of values) this.set({ said_by }, value);
    },
  });
}

/** A thing that happens: returns the function that counts it. */
export function counter<L extends string>(registry: Registry, name: string, help: string, labels: readonly L[]): (values: Record<L, string>, count?: number) => void {
  const metric = new Counter({ name, help, labelNames: labels, registers: [registry] });
  return (values, count = 1) => metric.inc(values as Partial<Record<L, string | number>>, count);
}

/** Told by a relay how many events it has published together. */
export function publicationMetrics(registry: Registry): (saidBy: string, events: number) => void {
  const events = counter(registry, 'millrace_events_published_total', 'Events that the broker has stored, by the service that says them.', ['said_by']);
  const publications = counter(registry, 'millrace_publications_total', 'Publications, of one event or many together.', ['said_by']);
  return (saidBy, count) => {
    events({ said_by: saidBy }, count);
    publications({ said_by: saidBy });
  };
}

export function httpMetrics(registry: Registry): ObserveRequest {
  const requests = counter(registry, 'millrace_http_requests_total', 'Plain HTTP requests by route and status: webhooks, and what watches over the process.', ['route', 'status']);
  return (route, status) => requests({ route, status: String(status) });
}

export function rpcMetrics(registry: Registry): ObserveCall {
  const calls = new Counter({ name: 'millrace_rpc_calls_total', help: 'Calls by RPC and status code.', labelNames: ['rpc', 'code'], registers: [registry] });
  const durations = new Histogram({ name: 'millrace_rpc_duration_seconds', help: 'Time from headers to answer; of a stream, to its end.', labelNames: ['rpc'], buckets: SECONDS, registers: [registry] });
  return (rpc, code, seconds) => {
    calls.inc({ rpc, code });
    durations.observe({ rpc }, seconds);
  };
}
