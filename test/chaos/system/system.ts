// The whole system as a user starts it: the launcher, in a throw-away home, with our proxies on the way to what may fail.
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Service } from '../../../local/src/nats-permissions.ts';
import { portPlan } from '../../../local/src/ports.ts';
import { isRunning, identify, type ProcessId } from '../../../local/src/processes.ts';
import type { Runtime } from '../../../local/src/runtime.ts';
import { pause, until } from '../wait.ts';
import { layCable, type Cable } from './cable.ts';
import { mountDisk, type Disk, type DiskKind } from './disk.ts';
import { startProxy, type Proxy } from './proxy.ts';

export type Link = 'postgres' | 'nats' | 'inventory' | 'stripe' | 'postmark';

const ROOT = path.resolve(import.meta.dirname, '../../..');
/** A cold start on a machine with other work. */
const READY_MS = 180_000;
const BACK_MS = 120_000;
const STOP_MS = 30_000;
/** Of one system, and then the next one's. */
const PORTS = 16;
const FIRST_PORT = 20_000;
const PORT_TRIES = 100;

export type System = {
  home: string;
  root: string;
  readonly runtime: Runtime;
  proxies: Record<Link, Proxy>;
  /** The broker's, when the experiment asked for one. */
  disk: Disk | undefined;
  /** Between order and inventory, when the experiment asked for one. */
  cable: Cable | undefined;
  output(): string;
  secret(name: string): string;
  pid(name: string): number;
  /** SIGKILL; answers when the launcher has it back and ready. */
  kill(names: readonly string[]): Promise<void>;
  /** Kills and keeps away while the work lasts: the launcher itself is stopped meanwhile. */
  killWhile(names: readonly string[], work: () => Promise<void>): Promise<void>;
  /** SIGSTOP for that long: a hung process, not a dead one. */
  freeze(name: string, ms: number): Promise<void>;
  /** SIGTERM; answers how long until it had ended. The launcher brings it back. */
  terminate(name: string): Promise<number>;
  /** Everything through: proxies, and the sandbox's faults. */
  heal(): Promise<void>;
  control(what: string, body?: object): Promise<Record<string, unknown>>;
  stop(keepHome?: boolean): Promise<void>;
};

export type SystemOptions = { env?: Record<string, string>; disk?: DiskKind; cable?: boolean; root?: string; home?: string; onSpawn?: (pid: number | undefined) => void };

export async function startSystem({ env = {}, disk: kind, cable: wired = false, root = ROOT, home = newHome(), onSpawn }: SystemOptions = {}): Promise<System> {
  const portBase = await freePortBase();
  const ports = portPlan(portBase);
  const links: Record<Link, number> = { postgres: ports.postgres, nats: ports.nats, inventory: ports.inventory, stripe: ports.sandbox, postmark: ports.sandbox };
  const started = await Promise.all(Object.entries(links).map(async ([name, port]) => startProxy(name, port)));
  const proxies = Object.fromEntries(started.map((proxy) => [proxy.name, proxy])) as Record<Link, Proxy>;
  /** What is let go at the end, the newest first. */
  const held = new AsyncDisposableStack();
  for (const proxy of started) held.defer(async () => proxy.close());
  const { cable, disk, launcher, output } = await begin().catch(async (error: unknown) => {
    await takeDown(process.env['CHAOS_KEEP'] !== undefined);
    throw error;
  });

  const readRuntime = (): Runtime => JSON.parse(readFileSync(path.join(home, 'runtime.json'), 'utf8')) as Runtime;
  // Newer than runtime.json, which is only written when all is ready again.
  const processes = (): Record<string, ProcessId> => JSON.parse(readFileSync(path.join(home, 'processes.json'), 'utf8')) as Record<string, ProcessId>;
  const pid = (name: string): number => {
    const known = processes()[name];
    if (!known) throw new Error(`there is no process ${name}`);
    return known.pid;
  };
  const ready = async (name: string): Promise<boolean> => {
    if (name === 'postgres' || name === 'nats') return answers(ports[name]);
    const url = name === 'edge' ? readRuntime().edge : name === 'sandbox' ? readRuntime().sandbox : readRuntime().services[name as Service];
    return (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) })).ok;
  };
  const back = async (names: readonly string[], before: Record<string, ProcessId>): Promise<void> => {
    for (const name of names) {
      await until(`${name} is back`, BACK_MS, async () => {
        const now = processes()[name];
        return now !== undefined && now.pid !== before[name]?.pid && isRunning(now) && (await ready(name));
      });
    }
  };
  const control = async (what: string, body?: object): Promise<Record<string, unknown>> => {
    const response = await fetch(`${readRuntime().sandbox}/control/${what}`, body ? { method: 'POST', body: JSON.stringify(body) } : {});
    const answer = (await response.json()) as Record<string, unknown>;
    if (!response.ok) throw new Error(`the sandbox refuses ${what}: ${JSON.stringify(answer)}`);
    return answer;
  };

  return {
    home, root, proxies, disk, cable, pid, control,
    get runtime() {
      return readRuntime();
    },
    output,
    secret: (name) => (JSON.parse(readFileSync(path.join(home, 'secrets.json'), 'utf8')) as Record<string, string>)[name] ?? '',
    async kill(names) {
      const before = processes();
      for (const name of names) process.kill(pid(name), 'SIGKILL');
      await back(names, before);
    },
    async killWhile(names, work) {
      const before = processes();
      launcher.kill('SIGSTOP');
      try {
        for (const name of names) process.kill(pid(name), 'SIGKILL');
        await work();
      } finally {
        launcher.kill('SIGCONT');
      }
      await back(names, before);
    },
    async freeze(name, ms) {
      const frozen = name === 'postgres' ? await withChildren(pid(name)) : [pid(name)];
      for (const one of frozen) signalIfThere(one, 'SIGSTOP');
      try {
        await pause(ms);
      } finally {
        for (const one of frozen) signalIfThere(one, 'SIGCONT');
      }
    },
    async terminate(name) {
      const before = processes();
      const known = before[name] as ProcessId;
      const asked = performance.now();
      process.kill(known.pid, 'SIGTERM');
      await until(`${name} ends`, STOP_MS, () => !isRunning(known));
      const took = performance.now() - asked;
      await back([name], before);
      return took;
    },
    async heal() {
      for (const proxy of started) proxy.set({ kind: 'none' });
      cable?.set('whole');
      await until('the sandbox forgets its faults', BACK_MS, () => control('reset', {}));
    },
    stop: async (keepHome = false) => takeDown(keepHome),
  };

  async function begin() {
    const cable = wired ? await layCable(proxies.inventory.port, home) : undefined;
    held.defer(async () => cable?.close());
    const at = (link: Link): string => `127.0.0.1:${proxies[link].port}`;
    const addresses = { DATABASE_URL: at('postgres'), NATS_URL: at('nats'), INVENTORY_URL: cable?.address ?? at('inventory'), STRIPE_API_BASE: at('stripe'), POSTMARK_API_BASE: at('postmark') };
    const { NATS_URL: _, ...outer } = process.env;
    const disk = kind && mountDisk(kind, path.join(home, 'nats/data'));
    held.defer(async () => disk?.unmount());
    const launcher = spawn(process.execPath, ['local/src/main.ts', '--seed', '0'], {
      cwd: root,
      env: {
        ...outer, MILLRACE_HOME: home, MILLRACE_PORT_BASE: String(portBase), CHAOS_ADDRESSES: JSON.stringify(addresses),
        NODE_OPTIONS: `--import ${pathToFileURL(path.join(ROOT, 'test/chaos/system/readdress.mjs')).href}`, ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = new Promise<void>((resolve) => launcher.once('exit', () => resolve()));
    held.defer(async () => stopLauncher(launcher, exited));
    onSpawn?.(launcher.pid);
    let said = '';
    for (const stream of [launcher.stdout, launcher.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    await until('the launcher is ready', READY_MS, () => said.includes('Millrace is ready') || launcher.exitCode !== null);
    if (launcher.exitCode !== null) throw new Error(`the launcher ended with ${launcher.exitCode}:\n${said}`);
    return { cable, disk, launcher, output: () => said };
  }

  async function takeDown(keepHome: boolean): Promise<void> {
    await held.disposeAsync();
    given.delete(portBase);
    if (home.startsWith(tmpdir()) && !keepHome) rmSync(home, { recursive: true, force: true });
  }
}

async function stopLauncher(launcher: ChildProcess, exited: Promise<void>): Promise<void> {
  launcher.kill('SIGCONT');
  launcher.kill('SIGTERM');
  await exited;
}

function newHome(): string {
  const home = mkdtempSync(path.join(tmpdir(), 'millrace-chaos-'));
  chmodSync(home, 0o711); // Postgres runs as another user when we are root
  return home;
}

async function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

// Postgres answers with its back ends: the postmaster alone would keep nobody waiting.
async function withChildren(parent: number): Promise<number[]> {
  const file = `/proc/${parent}/task/${parent}/children`;
  const children = existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ').filter(Boolean).map(Number) : [];
  return [parent, ...children];
}

function signalIfThere(pid: number, name: NodeJS.Signals): void {
  if (identify(pid)) process.kill(pid, name);
}

// Systems that start side by side must not find the same ones.
const given = new Set<number>();

async function freePortBase(): Promise<number> {
  for (let i = 0; i < PORT_TRIES; i += 1) {
    const base = Number(process.env['MILLRACE_PORT_BASE'] ?? FIRST_PORT) + i * PORTS;
    if (given.has(base)) continue;
    given.add(base);
    const taken = await Promise.all(Array.from({ length: PORTS }, async (_, offset) => answers(base + offset)));
    if (!taken.some(Boolean)) return base;
    given.delete(base);
  }
  throw new Error(`no ${PORTS} free ports in a row`);
}
