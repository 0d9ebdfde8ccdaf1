// The one port of a process: RPCs (Connect, gRPC, gRPC-Web over HTTP/1.1 and h2c), plain HTTP routes, health checks, metrics.
import { constants } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { DescService } from '@bufbuild/protobuf';
import { type ConnectRouter, type HandlerContext, createConnectRouter } from '@connectrpc/connect';
import { compressionGzip, universalResponseToNodeResponse } from '@connectrpc/connect-node';
import { Health } from '@millrace/gen/grpc/health/v1/health_pb.js';
import { type Access, createAccess } from '../api/access.ts';
import { type Verifier, setCaller } from '../api/auth.ts';
import { DEADLINES, type Deadlines, capTimeout, deadlines, limitOf } from '../api/deadline.ts';
import { refuse, toConnectError } from '../api/errors.ts';
import { validation } from '../api/validation.ts';
import { type Log, describeError } from '../telemetry/log.ts';
import { type Registry, createRegistry, httpMetrics, rpcMetrics } from '../telemetry/metrics.ts';
import { createCalls } from './calls.ts';
import { createChannels } from './channel-server.ts';
import { type HealthState, createHealth, healthRoutes } from './health.ts';
import { type HttpHandler, createHttpRoutes, cut, writeText } from './http-routes.ts';
import { MUX_LIMITS, type MuxLimits, type NodeHandler, type NodeRequest, type NodeResponse, type StreamHandler, createMux } from './mux.ts';
import { hasHost, universalRequest } from './node-request.ts';
import { type Readiness, probes } from './probes.ts';
import { REFLECTION_SERVICES, reflectionRoutes } from './reflection.ts';
import { createUnary } from './unary.ts';

export type { HttpHandler, HttpRequest, HttpResponse } from './http-routes.ts';
export type { NodeRequest, NodeResponse } from './mux.ts';

export type ServerOptions = {
  name: string;
  host: string;
  /** 0 takes a free one. */
  port: number;
  log: Log;
  verify: Verifier;
  routes: (router: ConnectRouter) => void;
  /** Those of `routes`, for reflection and health; both are added here and need no token. */
  services: DescService[];
  /** By exact path, or prefix ending in "/*". */
  http?: Record<string, HttpHandler>;
  /** Whether work can be done: what /readyz says. */
  ready: () => Promise<Readiness>;
  metrics?: Registry;
  /** Gets whatever nothing else serves, after the host guard. */
  fallback?: NodeHandler;
  limits?: Partial<MuxLimits & Deadlines>;
};

export type Server = { url: string; port: number; health: HealthState; stop(graceMs?: number): Promise<void> };

/** Orders are a few kilobytes and imports go one product a message; also the limit after decompression. */
const MAX_MESSAGE_BYTES = 1_048_576;
const HTTP_ROUTE_MS = 30_000;
/** Orchestrators kill after 30 s. */
const STOP_GRACE_MS = 15_000;
/** What handlers get between the abort of their signals and the end of their connections. */
const ABORT_GRACE_MS = 500;

export async function startServer(options: ServerOptions): Promise<Server> {
  const { log, services } = options;
  const limits = { ...MUX_LIMITS, ...DEADLINES, ...options.limits };
  const health = createHealth(services.map(({ typeName }) => typeName));
  const registry = options.metrics ?? createRegistry(options.name);
  const stopping = new AbortController();
  const aborting = new AbortController();
  const calls = createCalls(log, rpcMetrics(registry));
  const access = createAccess(options.verify, new Set([Health, ...REFLECTION_SERVICES].map(({ typeName }) => typeName)));

  const router = createConnectRouter({
    readMaxBytes: MAX_MESSAGE_BYTES,
    acceptCompression: [compressionGzip],
    shutdownSignal: aborting.signal,
    requestGate: async (context) => enter(context, calls.open, access),
    interceptors: [calls.interceptor, deadlines(limits, stopping.signal), validation],
  });
  const unary = createUnary({ calls, access, maxBytes: MAX_MESSAGE_BYTES, limitMs: limits.unaryMs, aborting: aborting.signal });
  const routes = unary.remembering(router);
  options.routes(routes);
  healthRoutes(routes, health);
  reflectionRoutes(router, [...services, Health]);
  const rpcs = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  if (!options.fallback) for (const service of services) if (!router.handlers.some((handler) => handler.service === service)) throw new Error(`${service.typeName} is announced, but has no route`);

  const http = createHttpRoutes({ ...probes(options, registry, stopping.signal), ...options.http }, { timeoutMs: HTTP_ROUTE_MS, log, observe: httpMetrics(registry) });
  // Between our own processes; what takes everything else is the public's door.
  const channels = options.fallback ? undefined : createChannels((path, asked) => unary.carryOut(path, asked) ?? http.carryOut(path, asked), stopping.signal);
  const handle: NodeHandler = (request, response) => {
    // Without this connect-es throws outside any interceptor, and the process ends.
    if (!hasHost(request.headers)) return writeText(response, 400, 'the Host header (:authority in HTTP/2) is missing or wrong\n');
    const path = request.url?.split('?', 1)[0] ?? '';
    const rpc = rpcs.get(path);
    if (rpc) return serveRpc(rpc, request, response, limits, log);
    if (http.serve(path, request, response)) return;
    if (options.fallback) return options.fallback(request, response);
    writeText(response, 404, 'there is nothing here\n');
  };
  const takeStream: StreamHandler = (stream, headers) => unary.serve(stream, headers) || channels?.serve(stream, headers) === true;
  const mux = createMux(guarded(handle, log), guardedStream(takeStream, log), limits);
  await listen(mux.server, options.host, options.port);
  const { port } = mux.server.address() as AddressInfo;

  let stopped: Promise<void> | undefined;
  const stop = async (graceMs: number): Promise<void> => {
    health.setAll(false);
    await new Promise(setImmediate); // health watchers hear it before their streams end
    stopping.abort();
    if (!(await mux.drain(graceMs))) {
      aborting.abort(toConnectError(refuse('DEPENDENCY_UNAVAILABLE', 'this server is stopping; the outcome is unknown', undefined, 0)));
      await mux.drain(ABORT_GRACE_MS);
    }
    mux.destroy();
  };
  return { url: `http://${urlHost(options.host)}:${port}`, port, health, stop: async (graceMs = STOP_GRACE_MS) => (stopped ??= stop(graceMs)) };
}

async function enter(context: HandlerContext, open: (context: HandlerContext) => void, access: Access): Promise<void> {
  open(context);
  try {
    const caller = await access(context.method, context.requestHeader.get('authorization'));
    if (caller) setCaller(context, caller);
  } catch (error) {
    throw toConnectError(error);
  }
}

function serveRpc(rpc: ConnectRouter['handlers'][number], request: NodeRequest, response: NodeResponse, limits: Deadlines, log: Log): void {
  const limitMs = limitOf(rpc.method, limits);
  if (rpc.method.methodKind === 'unary') capTimeout(request.headers, limitMs);
  // A deadline does not end a body that never ends.
  const timer = setTimeout(() => cut(response), limitMs + limits.cutMs);
  response.once('close', () => clearTimeout(timer));
  rpc(universalRequest(request, response))
    .then(async (answer) => universalResponseToNodeResponse(answer, response))
    // The answer could not be written: nearly always the caller has gone.
    .catch((error: unknown) => log.debug({ err: error, rpc: rpc.requestPath }, 'answer not delivered'));
}

function guarded(handle: NodeHandler, log: Log): NodeHandler {
  return (request, response) => {
    try {
      handle(request, response);
    } catch (error) {
      log.error({ err: describeError(error) }, 'a request could not be taken');
      writeText(response, 500, 'internal error\n');
    }
  };
}

function guardedStream(take: StreamHandler, log: Log): StreamHandler {
  return (stream, headers) => {
    try {
      return take(stream, headers);
    } catch (error) {
      log.error({ err: describeError(error) }, 'a stream could not be taken');
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      return true;
    }
  };
}

async function listen(server: ReturnType<typeof createMux>['server'], host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
