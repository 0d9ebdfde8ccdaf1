// Brings the whole system up on one home, and down again.
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { connect } from '@nats-io/transport-node';
import type { Flags } from '../flags.mjs';
import { DEFAULT_SEED, demoCatalogue } from './catalogue.ts';
import { type Running, startChild } from './child.ts';
import { compileAhead } from './compile-ahead.ts';
import { nextCrash, planCrash } from './crash-plan.ts';
import { prepareDatabase } from './databases.ts';
import { type Environment, type Plan, edgeEnvironment, sandboxEnvironment, serviceEnvironment, serviceUrl, togetherEnvironment } from './environment.ts';
import { type Home, ROOT, writeAtomically } from './home.ts';
import { watchLog } from './log-files.ts';
import { findNatsServer } from './nats-binary.ts';
import { INSPECTOR, SERVICES, SETUP_USER, type Service } from './nats-permissions.ts';
import { watchNats } from './nats-watch.ts';
import { type Nats, natsLogin, startNats } from './nats.ts';
import { portPlan, refuseTakenPorts } from './ports.ts';
import { startPostgres } from './postgres.ts';
import { type ProcessId, signal } from './processes.ts';
import { endLeftovers, openRegistry } from './registry.ts';
import { type Runtime, removeRuntime, writeRuntime } from './runtime.ts';
import { seedCatalogue } from './seed.ts';
import { killAll, stopInOrder } from './stop-order.ts';
import { applyTopology, streamBytesFor } from './streams.ts';
import { supervise } from './supervise.ts';
import { mintTokens } from './tokens.ts';

export type Options = { home: Home; flags: Flags; portBase: number; env: NodeJS.ProcessEnv; say: (line: string) => void };

export type System = {
  /** Resolves when everything is ready and runtime.json is written. */
  start(): Promise<{ runtime: Runtime; demoSku: string | undefined }>;
  /** In order; also in the middle of a start. */
  stop(): Promise<void>;
  kill(): void;
};

const HOST = 'http://127.0.0.1';

export function createSystem({ home, flags, portBase, env, say }: Options): System {
  const registry = openRegistry(home);
  const letGo = new AbortController();
  const ports = portPlan(portBase, flags.together);
  const ownNats = !env.NATS_URL;
  let nats: Nats | undefined;
  let announce = (): void => {};

  return { start, stop, kill: () => killAll(registry) };

  async function start(): Promise<{ runtime: Runtime; demoSku: string | undefined }> {
    removeRuntime(home);
    const left = await endLeftovers(home);
    if (left.length > 0) say(`ended what an earlier run left behind: ${left.join(', ')}`);
    await refuseTakenPorts(ownNats ? ports : { ...ports, nats: undefined });

    planCrash(home, env.MILLRACE_CRASH_POINT);
    const plan = await makePlan();
    const upSandbox = () => up('sandbox', 'sandbox/src/main.ts', sandboxEnvironment(plan), ports.sandbox);
    await Promise.all([upPostgres(plan), upNats(plan), compileAhead().then(upSandbox)]);
    say('Postgres, NATS and the sandbox are up');
    await Promise.all([...upServices(plan), up('edge', 'edge/src/main.ts', edgeEnvironment(plan), ports.edge)]);
    say('services and edge are up');
    const demoSku = await seed(plan);

    announce = () => writeRuntime(home, runtimeOf(plan));
    announce();
    return { runtime: runtimeOf(plan), demoSku };
  }

  async function stop(): Promise<void> {
    letGo.abort();
    await stopInOrder(registry);
    registry.clear();
    removeRuntime(home);
  }

  async function makePlan(): Promise<Plan> {
    const sandboxData = home.file('sandbox');
    mkdirSync(sandboxData, { recursive: true, mode: 0o700 });
    return {
      ports,
      outer: env,
      tokens: await mintTokens(home),
      secret: (name) => home.secret(name),
      databaseUrl: (service) => `postgresql://${service}:${home.secret(`postgres-${service}`)}@127.0.0.1:${ports.postgres}/${service}`,
      natsUrl,
      sandboxData,
    };
  }

  function natsUrl(user: string): string {
    return env.NATS_URL || `nats://${user}:${home.secret(`nats-${user}`)}@127.0.0.1:${ports.nats}`;
  }

  async function upPostgres(plan: Plan): Promise<void> {
    let adminUrl = '';
    const startOne = async (): Promise<Running> => {
      const postgres = await startPostgres({ home: home.folder, port: ports.postgres, adminPassword: home.secret('postgres-admin'), onSpawn: remember('postgres') });
      ({ adminUrl } = postgres);
      return postgres;
    };
    await keep('postgres', startOne);
    const applied = await Promise.all(SERVICES.map(async (service) => ({ service, names: await prepareDatabase(adminUrl, service, plan.databaseUrl(service)) })));
    for (const { service, names } of applied) if (names.length > 0) say(`${service}: applied ${names.join(', ')}`);
  }

  async function upNats(plan: Plan): Promise<void> {
    if (ownNats) {
      const binary = await findNatsServer(say);
      const options = { folder: home.file('nats'), logFile: home.file('logs', 'nats.log'), port: ports.nats, password: (user: string) => home.secret(`nats-${user}`), binary };
      await keep('nats', async () => (nats = await startNats({ ...options, onSpawn: remember('nats') })));
      watchNats(() => nats as Nats, say, letGo.signal);
    }
    const connection = await connect(natsLogin(natsUrl(SETUP_USER))).catch((error: unknown) => {
      throw new Error(`NATS does not answer at ${plan.natsUrl('order').replace(/\/\/.*@/, '//')}: ${(error as Error).message}`, { cause: error });
    });
    try {
      await applyTopology(connection, ownNats ? streamBytesFor(home.folder) : undefined);
    } finally {
      await connection.close();
    }
  }

  function upServices(plan: Plan): Promise<void>[] {
    if (flags.together) return [up('together', 'local/src/together.ts', togetherEnvironment(plan), ports.order)];
    return SERVICES.map((service) => up(service, `services/${service}/src/main.ts`, serviceEnvironment(service, plan), ports[service]));
  }

  async function up(name: string, script: string, processEnv: Environment, port: number): Promise<void> {
    const logFile = home.file('logs', `${name}.log`);
    let crash: ReturnType<typeof nextCrash> = {};
    const startOne = async (): Promise<Running> => {
      crash = nextCrash(home, name);
      return startChild({ name, script: path.join(ROOT, script), env: { ...processEnv, ...crash }, logFile, readyUrl: `${HOST}:${port}/readyz` }, remember(name));
    };
    await keep(name, startOne, { logFile, isPlanned: () => crash.MILLRACE_CRASH_POINT !== undefined });
  }

  // Started, watched, and started again whenever it ends unasked.
  async function keep(name: string, startOne: () => Promise<Running>, { logFile, isPlanned = () => false }: { logFile?: string; isPlanned?: () => boolean } = {}): Promise<void> {
    await supervise(name, startOne, letGo.signal, say, { onRestart: () => announce(), isPlanned });
    if (logFile && existsSync(logFile)) letGo.signal.addEventListener('abort', watchLog(name, logFile, say).stop);
  }

  function remember(name: string): (known: ProcessId) => void {
    return (known) => {
      registry.add(name, known);
      if (letGo.signal.aborted) signal(known, 'SIGKILL'); // we are going down and it has just come up
    };
  }

  async function seed(plan: Plan): Promise<string | undefined> {
    const mark = home.file('seeded.json');
    const count = flags.seed ?? (existsSync(mark) ? 0 : DEFAULT_SEED);
    if (count > 0) {
      const created = await seedCatalogue(`${HOST}:${ports.edge}`, plan.tokens.people.admin, count);
      if (created > 0) say(`the demo catalogue has ${created} new products`);
    }
    writeAtomically(mark, JSON.stringify({ products: count }));
    return demoCatalogue(1)[0]?.product.sku;
  }

  function runtimeOf(plan: Plan): Runtime {
    const each = (of: (service: Service) => string): Record<Service, string> => Object.fromEntries(SERVICES.map((service) => [service, of(service)])) as Record<Service, string>;
    const pids = registry.pids();
    const together = pids.together;
    return {
      edge: `${HOST}:${ports.edge}`,
      services: each((service) => serviceUrl(service, plan)),
      sandbox: `${HOST}:${ports.sandbox}`,
      nats: natsUrl(INSPECTOR),
      postgres: each((service) => plan.databaseUrl(service)),
      tokens: plan.tokens.people,
      pids: { ...pids, ...(together === undefined ? {} : Object.fromEntries(SERVICES.map((service) => [service, together]))), launcher: process.pid },
    };
  }
}
