// The edge: the one public port. Verifies who calls, then forwards to the five services; knows nothing of what is said.
import { createVerifier } from '@millrace/chassis/api/auth';
import type { Env } from '@millrace/chassis/config';
import { STAY_WARM, runProcess } from '@millrace/chassis/process';
import { startServer } from '@millrace/chassis/server/server';
import type { Running } from '@millrace/chassis/service';
import { createLog } from '@millrace/chassis/telemetry/log';
import { createRegistry } from '@millrace/chassis/telemetry/metrics';
import { createBodies } from './body.ts';
import { readEdgeConfig, serviceUrls } from './config.ts';
import { createGate } from './gate.ts';
import { followHealth } from './health.ts';
import { createMeasure } from './metrics.ts';
import { closeNeighbours, createNeighbours, readiness } from './neighbours.ts';
import { createRateLimit } from './rate-limit.ts';
import { SERVICES, rpcTable } from './routes.ts';

/** Calls in flight get this long at a stop; streams are ended at once, their callers open them again. */
const CALL_GRACE_MS = 3_000;

/** Node's own: breaking calls off as soon as they are made is an attack on whoever has to serve them (CVE-2023-44487). */
const PUBLIC_RESETS = { resetBurst: 1_000, resetRate: 33 };

export async function startEdge(env: Env, signal: AbortSignal): Promise<Running> {
  const config = readEdgeConfig(env);
  const log = createLog('edge', config.LOG_LEVEL);
  const registry = createRegistry('edge');
  const verify = createVerifier(config.MILLRACE_JWKS);
  const neighbours = createNeighbours(serviceUrls(config), log);
  const stopping = new AbortController();
  const server = await startServer({
    name: 'edge',
    host: config.HOST,
    port: config.PORT,
    log,
    verify,
    routes: () => {},
    services: SERVICES,
    ready: () => readiness(neighbours),
    metrics: registry,
    limits: PUBLIC_RESETS,
    fallback: createGate({
      rpcs: rpcTable(),
      verify,
      rateLimit: createRateLimit(config.EDGE_RATE_LIMIT),
      neighbours,
      bodies: createBodies(),
      stopping: stopping.signal,
      origins: config.EDGE_CORS_ORIGINS,
      log,
      measure: createMeasure(registry, neighbours),
    }),
  });
  await followHealth(server.health, neighbours, stopping.signal);

  let stopped: Promise<void> | undefined;
  const stopAll = async () => {
    stopping.abort();
    await server.stop(CALL_GRACE_MS);
    closeNeighbours(neighbours);
  };
  const stop = () => (stopped ??= stopAll());
  signal.addEventListener('abort', () => void stop(), { once: true });
  log.info({ port: server.port }, 'ready');
  return { name: 'edge', url: server.url, port: server.port, stop, drain: () => Promise.resolve() };
}

if (import.meta.main) await runProcess(startEdge, STAY_WARM);
