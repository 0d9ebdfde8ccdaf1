// What /metrics says about the edge itself; the services count their calls by code.
import { type Registry, counter, gauge } from '@millrace/chassis/telemetry/metrics';
import type { Measure } from './gate.ts';
import type { Neighbours } from './neighbours.ts';
import { SERVICE_NAMES } from './routes.ts';

export function createMeasure(registry: Registry, neighbours: Neighbours): Measure {
  const requests = counter(registry, 'millrace_edge_requests_total', 'Requests by what they were for (an RPC, a webhook, "unknown") and what became of them.', ['target', 'outcome']);
  const seconds = counter(registry, 'millrace_edge_request_seconds_total', 'Time that these requests took, together.', ['target']);
  for (const name of SERVICE_NAMES) {
    gauge(registry, `millrace_edge_${name}_calls_in_flight`, `Unary calls to ${name} in flight.`, () => neighbours[name].calls.taken());
    gauge(registry, `millrace_edge_${name}_streams_open`, `Streams to ${name} open.`, () => neighbours[name].streams.taken());
  }
  return (target, outcome, ms) => {
    requests({ target, outcome });
    seconds({ target }, ms / 1_000);
  };
}
