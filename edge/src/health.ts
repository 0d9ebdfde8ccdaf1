// What grpc.health.v1 says at the edge: each service as its neighbour is, the whole when all are.
import type { HealthState } from '@millrace/chassis/server/health';
import { HealthCheckResponse_ServingStatus as ServingStatus } from '@millrace/gen/grpc/health/v1/health_pb.js';
import { type Neighbours, readiness } from './neighbours.ts';
import { SERVICES, SERVICE_NAMES } from './routes.ts';

/** Load balancers ask every few seconds. */
const LOOK_EVERY_MS = 2_000;

/** Looks once, and then again and again until the signal. */
export async function followHealth(health: HealthState, neighbours: Neighbours, signal: AbortSignal): Promise<void> {
  const look = async () => {
    const { ok, detail } = await readiness(neighbours);
    if (signal.aborted) return;
    const ready = (typeName: string) => SERVICE_NAMES.some((name) => typeName.split('.')[1] === name && detail[name] === 'ready');
    set(health, '', ok);
    // Dead letters are everybody's: they can be asked for while anybody answers.
    for (const { typeName } of SERVICES) set(health, typeName, typeName.startsWith('millrace.ops.') ? Object.values(detail).includes('ready') : ready(typeName));
  };
  await look();
  const timer = setInterval(() => void look(), LOOK_EVERY_MS).unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}

// Watchers are woken by every `set`.
function set(health: HealthState, service: string, serving: boolean): void {
  if ((health.get(service) === ServingStatus.SERVING) !== serving) health.set(service, serving);
}
