// grpc.health.v1: what load balancers and orchestrators ask.
import { type ConnectRouter } from '@connectrpc/connect';
import { Health, HealthCheckResponse_ServingStatus as Status } from '@millrace/gen/grpc/health/v1/health_pb.js';
import { refuse } from '../api/errors.ts';

export type HealthState = {
  /** '' is the server as a whole. */
  set(service: string, serving: boolean): void;
  setAll(serving: boolean): void;
  get(service: string): Status | undefined;
  all(): ReadonlyMap<string, Status>;
  /** Resolves at the next change, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void>;
};

export function createHealth(services: string[]): HealthState {
  const statuses = new Map<string, Status>(['', ...services].map((service) => [service, Status.SERVING]));
  const waiting = new Set<() => void>();
  const set = (service: string, serving: boolean): void => {
    statuses.set(service, serving ? Status.SERVING : Status.NOT_SERVING);
    for (const wake of waiting) wake();
  };
  return {
    set,
    setAll: (serving) => [...statuses.keys()].forEach((service) => set(service, serving)),
    get: (service) => statuses.get(service),
    all: () => statuses,
    changed: async (signal) =>
      new Promise((resolve) => {
        const wake = (): void => {
          waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        waiting.add(wake);
        signal.addEventListener('abort', wake);
        if (signal.aborted) wake();
      }),
  };
}

export function healthRoutes(router: ConnectRouter, health: HealthState): void {
  router.service(Health, {
    check({ service }) {
      const status = health.get(service);
      if (status === undefined) throw refuse('NOT_FOUND', 'this server has no such service');
      return { status };
    },
    list: () => ({ statuses: Object.fromEntries([...health.all()].map(([service, status]) => [service, { status }])) }),
    // An unknown service is a status here, not an error: it may appear later.
    async *watch({ service }, { signal }) {
      let told: Status | undefined;
      while (!signal.aborted) {
        const change = health.changed(signal);
        const status = health.get(service) ?? Status.SERVICE_UNKNOWN;
        if (status !== told) yield { status: (told = status) };
        await change;
      }
    },
  });
}
