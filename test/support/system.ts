// The whole system as a user starts it: the launcher, in a home and on ports of its own.

import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { DescService } from '@bufbuild/protobuf';
import { createClient, type Client, type Interceptor } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { InventoryService } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { NotificationService } from '@millrace/gen/millrace/notification/v1/notification_pb.js';
import { OrderService } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { PaymentService } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import type { Runtime } from '../../local/src/runtime.ts';
import { newFolder, trackProcess } from './servers.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
/** A cold start is below this on a busy machine of two cores. */
const READY_MS = 90_000;
/** edge … Postgres, see the launcher's port plan. */
const PORTS = 14;

export type Who = 'admin' | 'buyer' | 'buyer2' | 'service';

export type System = {
  home: string;
  runtime: Runtime;
  launcher: ChildProcess;
  /** What the launcher has printed so far. */
  output(): string;
  /** Clients of all services at the public port. */
  as(who: Who): Clients;
  /** SIGTERM, and the time until everything was down. */
  stop(): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
};

export type Clients = {
  orders: Client<typeof OrderService>;
  products: Client<typeof ProductService>;
  inventory: Client<typeof InventoryService>;
  payments: Client<typeof PaymentService>;
  notifications: Client<typeof NotificationService>;
};

export type SystemOptions = { home?: string; portBase?: number; args?: string[]; env?: Record<string, string> };

/** Runs the launcher until it says that everything is ready. */
export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const home = options.home ?? newFolder('system');
  const portBase = options.portBase ?? (await freePortBase());
  const env = { ...process.env, MILLRACE_HOME: home, MILLRACE_PORT_BASE: String(portBase), ...options.env };
  const launcher = spawn(process.execPath, ['local/src/main.ts', ...(options.args ?? [])], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
  trackProcess('launcher', launcher.pid);
  let output = '';
  for (const stream of [launcher.stdout, launcher.stderr]) stream.setEncoding('utf8').on('data', (text: string) => void (output += text));
  const exited = new Promise<void>((resolve) => launcher.once('exit', () => resolve()));

  await until(() => output.includes('Millrace is ready') || launcher.exitCode !== null, READY_MS, () => output);
  if (launcher.exitCode !== null) throw new Error(`the launcher ended with ${launcher.exitCode}:\n${output}`);
  const readRuntime = () => JSON.parse(readFileSync(path.join(home, 'runtime.json'), 'utf8')) as Runtime;

  const stop = async () => {
    const asked = performance.now();
    launcher.kill('SIGTERM');
    await exited;
    return performance.now() - asked;
  };
  return {
    home,
    get runtime() {
      return readRuntime();
    },
    launcher,
    output: () => output,
    as: (who) => clientsOf(readRuntime(), who),
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

function clientsOf(runtime: Runtime, who: Who): Clients {
  const client = <S extends DescService>(service: S) => clientAt(service, runtime.edge, runtime.tokens[who]);
  return {
    orders: client(OrderService),
    products: client(ProductService),
    inventory: client(InventoryService),
    payments: client(PaymentService),
    notifications: client(NotificationService),
  };
}

export function clientAt<S extends DescService>(service: S, baseUrl: string, token: string): Client<S> {
  const bearer: Interceptor = (next) => (request) => {
    request.header.set('authorization', `Bearer ${token}`);
    return next(request);
  };
  return createClient(service, createConnectTransport({ baseUrl, httpVersion: '2', interceptors: [bearer], defaultTimeoutMs: 20_000 }));
}

/** Waits for a condition, looking often; says what it saw last when it never comes true. */
export async function until<T>(look: () => T | Promise<T>, limitMs = 20_000, describe: () => unknown = () => ''): Promise<Exclude<T, undefined | null | false>> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (seen) return seen as Exclude<T, undefined | null | false>;
    if (performance.now() > deadline) throw new Error(`not true within ${limitMs} ms: ${look.toString()}\n${String(describe())}`);
    await setTimeout(10);
  }
}

async function freePortBase(): Promise<number> {
  for (let tries = 0; tries < 50; tries += 1) {
    const base = 20_000 + Math.floor(Math.random() * 2_000) * 16;
    const free = await Promise.all(Array.from({ length: PORTS }, (_, i) => isFree(base + i)));
    if (free.every(Boolean) && base + PORTS < 32_768) return base;
  }
  throw new Error('no 14 free ports in a row');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
