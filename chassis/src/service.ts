// A whole service on the chassis, or several behind one port: server, relay, consumers, dead letters and loops behind one start and one stop.

import { setTimeout } from 'node:timers/promises';
import type { DescService } from '@bufbuild/protobuf';
import type { ConnectRouter } from '@connectrpc/connect';
import { DeadLetterService } from '@millrace/gen/millrace/ops/v1/dead_letter_pb.js';
import { jetstream, type JetStreamClient } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { createVerifier } from './api/auth.ts';
import type { ProcessConfig, ServiceConfig } from './config.ts';
import { armCrashPoint } from './crash-point.ts';
import { sql, type Database } from './database/db.ts';
import { createRetention } from './database/retention.ts';
import { backlogMetrics } from './events/backlog.ts';
import { connectBroker, lossOf } from './events/broker.ts';
import { createConsumers } from './events/consumer.ts';
import { createDeadLetters, deadLetterRoutes } from './events/dead-letters.ts';
import { eventKind } from './events/contracts.ts';
import type { Reaction } from './events/inbox.ts';
import { overhear, type Overhearing } from './events/overhear.ts';
import { createRelay } from './events/relay.ts';
import type { Loop } from './flow/loop.ts';
import type { Readiness } from './server/probes.ts';
import { startServer, type HttpHandler } from './server/server.ts';
import type { Log } from './telemetry/log.ts';
import { createRegistry, publicationMetrics } from './telemetry/metrics.ts';

export type ServiceDefinition = {
  name: string;
  config: ServiceConfig;
  log: Log;
  db: Database;
  /** The service's own RPCs; dead letters, health and reflection are added. */
  routes: (router: ConnectRouter) => void;
  services: DescService[];
  reactions: Reaction[];
  overhears?: Overhearing[];
  loops?: Loop[];
  /** Raw routes by path, such as a provider's webhook. */
  http?: Record<string, HttpHandler>;
  /** Runs before the service says that it is ready; may fail. */
  warmUp?: () => Promise<void>;
  /** Runs after everything has stopped. */
  close?: () => Promise<void>;
};

export type Running = {
  name: string;
  url: string;
  port: number;
  /** Stops taking calls, finishes what is in flight, then stops the loops and closes the connections. */
  stop(): Promise<void>;
  /** Runs relay, consumers and loops until they are quiet. */
  drain(): Promise<void>;
};

/** Calls in flight get this long at a stop. */
const CALL_GRACE_MS = 2_000;
/** Rounds in flight get this long after that; a launcher waits 5 s in all. */
const LOOP_GRACE_MS = 2_000;

/** What services in one process share: a name for its health checks and metrics, an address, the log of its server. */
export type Host = Pick<ServiceDefinition, 'name' | 'log'> & { config: ProcessConfig };

export async function runService(definition: ServiceDefinition, signal: AbortSignal): Promise<Running> {
  return runServices(definition, [definition], signal);
}

/** Services behind one port. Each has its own database, broker connection, relay, consumers and loops; the process is ready when all are. */
export async function runServices({ name, config, log }: Host, definitions: ServiceDefinition[], signal: AbortSignal): Promise<Running> {
  definitions.forEach((one) => armCrashPoint(one.name, one.config.MILLRACE_CRASH_POINT));
  const metrics = createRegistry(name);
  const onPublished = publicationMetrics(metrics);
  backlogMetrics(metrics, new Map(definitions.map((definition) => [definition.name, definition.db])));
  const parts = definitions.map((definition) => createPart(definition, (events) => onPublished(definition.name, events)));
  // One after the other: while one computes, another's first connection would run out of time on a busy machine.
  for (const { warmUp } of definitions) {
    // A database that is away is what /readyz is for, and no reason to end.
    await warmUp?.().catch((error: unknown) => log.warn({ err: error }, 'the first calls will be slow: it could not warm up'));
  }
  const server = await startServer({
    name,
    host: config.HOST,
    port: config.PORT,
    log,
    metrics,
    verify: createVerifier(config.MILLRACE_JWKS),
    services: [...definitions.flatMap(({ services }) => services), DeadLetterService],
    routes(router) {
      for (const { routes } of definitions) routes(router);
      deadLetterRoutes(new Map(parts.map((part) => [part.name, part.deadLetters])))(router);
    },
    http: Object.fromEntries(definitions.flatMap(({ http = {} }) => Object.entries(http))),
    ready: () => readiness(parts),
  });
  for (const part of parts) part.start();

  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= stopAll());
  async function stopAll(): Promise<void> {
    await server.stop(CALL_GRACE_MS);
    await Promise.all(parts.map((part) => part.stop()));
  }
  signal.addEventListener('abort', () => void stop(), { once: true });
  log.info({ port: server.port }, 'ready');

  return {
    name,
    url: server.url,
    port: server.port,
    stop,
    async drain() {
      for (const part of parts) await part.drain();
    },
  };
}

type Part = ReturnType<typeof createPart>;

/** What a service has for itself, whoever it shares the port with. */
function createPart(definition: ServiceDefinition, onPublished: (events: number) => void) {
  const { name, config, log, db } = definition;
  const stopped = new AbortController();
  const reactions = reactionTable(name, definition.reactions);
  let connection: NatsConnection | undefined;
  let js: JetStreamClient | undefined;
  let lost = (): AbortSignal => stopped.signal;
  let connecting: Promise<void> | undefined;
  let running: Promise<void>[] = [];
  const broker = () => js;

  const relay = createRelay({ service: name, db, log, broker, lost: () => lost(), onPublished });
  const consumers = createConsumers({ service: name, db, log, reactions, broker });
  const loops = [relay, ...consumers, ...(definition.loops ?? []), createRetention(db, log)];

  return {
    name,
    deadLetters: createDeadLetters(name, db, reactions),
    async ready(): Promise<Readiness> {
      const state = connection !== undefined && !connection.isClosed() ? 'connected' : 'away';
      try {
        const [row] = await db.query<{ now: Date }>(sql`SELECT now()`);
        if (row !== undefined) db.clock.saw(row.now);
        return { ok: true, detail: { database: 'connected', broker: state } };
      } catch {
        return { ok: false, detail: { database: 'away', broker: state } };
      }
    },
    start() {
      // Not awaited: without a broker the service serves, and its events wait in the outbox.
      connecting = connectBroker(config.NATS_URL, name, log, stopped.signal).then((connected) => {
        connection = connected;
        js = connected && jetstream(connected);
        if (connected === undefined) return;
        lost = lossOf(connected);
        for (const overhearing of definition.overhears ?? []) overhear(connected, overhearing);
      });
      running = loops.map((loop) => loop.start(stopped.signal));
    },
    async stop() {
      stopped.abort();
      await Promise.race([Promise.allSettled([...running, connecting]), setTimeout(LOOP_GRACE_MS)]);
      // Flushes the last acknowledgements; a broker that is away can't take them, and repeats the messages.
      await Promise.race([connection?.drain().catch(() => {}), setTimeout(LOOP_GRACE_MS / 4)]);
      await connection?.close();
      await definition.close?.();
      await db.close();
    },
    async drain() {
      await connecting;
      for (const loop of loops) await loop.drain();
      await relay.drain();
    },
  };
}

async function readiness(parts: Part[]): Promise<Readiness> {
  const states = await Promise.all(parts.map(async (part) => ({ name: part.name, ...(await part.ready()) })));
  const [only] = states;
  if (only && states.length === 1) return { ok: only.ok, detail: only.detail };
  const details = states.flatMap(({ name, detail }) => Object.entries(detail).map(([what, state]) => [`${name} ${what}`, state]));
  return { ok: states.every(({ ok }) => ok), detail: Object.fromEntries(details) as Record<string, string> };
}

/** Reactions by type; refuses one to an event that the contract doesn't let this service hear. */
function reactionTable(service: string, reactions: Reaction[]): ReadonlyMap<string, Reaction> {
  for (const { schema } of reactions) {
    if (!eventKind(schema).heardBy.includes(service)) throw new Error(`${schema.typeName} is not heard by ${service}: see its event option`);
  }
  return new Map(reactions.map((reaction) => [reaction.schema.typeName, reaction]));
}
