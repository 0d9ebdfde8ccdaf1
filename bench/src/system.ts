// The system under measurement: started by the launcher as a user would, in a home and on ports of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { portPlan } from '../../local/src/ports.ts';
import type { Runtime } from '../../local/src/runtime.ts';
import { ownsPort } from './processes.ts';

export const ROOT = path.resolve(import.meta.dirname, '../..');
/** A cold start is below this on a busy machine of two cores. */
const READY_MS = 120_000;
/** A look at a consumer costs what some ten of its events cost: more often, and it would be a part of what a drain takes. */
const POLL_MS = 50;
const PORTS_TRIED = 50;
/** Pacing of callers is not what is measured. */
const NO_RATE_LIMIT = '9999999';
/** Longer than any run, so that no order expires in the middle of one. */
const PAYMENT_WINDOW = '12h';

export type System = {
  home: string;
  runtime: Runtime;
  /** For what only the benchmark does: scratch databases, scratch streams. */
  adminUrl: string;
  setupUrl: string;
  together: boolean;
  /** What is wrong with taking numbers from this system now; empty when nothing is. */
  objections(): string[];
  stop(): Promise<void>;
};

export async function startSystem({ together }: { together: boolean }): Promise<System> {
  const home = mkdtempSync(path.join(tmpdir(), 'millrace-bench-'));
  const base = await freePortBase();
  const ports = portPlan(base, together);
  const env = { ...process.env, MILLRACE_HOME: home, MILLRACE_PORT_BASE: String(base), EDGE_RATE_LIMIT: NO_RATE_LIMIT, ORDER_PAYMENT_WINDOW: PAYMENT_WINDOW, LOG_LEVEL: process.env.LOG_LEVEL ?? 'info' };
  const launcher = spawn(process.execPath, ['local/src/main.ts', '--seed', '0', ...(together ? ['--together'] : [])], { cwd: ROOT, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [launcher.stdout, launcher.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => void (output += text));
  const stop = async () => {
    await ended(launcher);
    if (!process.env.BENCH_KEEP_HOME) rmSync(home, { recursive: true, force: true });
  };
  try {
    await until(() => output.includes('Millrace is ready') || launcher.exitCode !== null, READY_MS, () => output);
    if (launcher.exitCode !== null) throw new Error(`the launcher ended with ${launcher.exitCode}:\n${output}`);
    const runtime = readRuntime(home);
    const secrets = JSON.parse(readFileSync(path.join(home, 'secrets.json'), 'utf8')) as Record<string, string>;
    return {
      home,
      runtime,
      together,
      adminUrl: `postgresql://millrace_admin:${secrets['postgres-admin']}@127.0.0.1:${ports.postgres}/postgres`,
      setupUrl: `nats://setup:${secrets['nats-setup']}@127.0.0.1:${ports.nats}`,
      objections() {
        const strangers = Object.entries(ports).filter(([name, port]) => !ownsPort(runtime.pids[name] ?? -1, port)).map(([name, port]) => `port ${port} (${name}) does not belong to the system that was started`);
        const now = readRuntime(home).pids;
        const restarted = Object.keys(runtime.pids).filter((name) => now[name] !== runtime.pids[name]).map((name) => `${name} was started again meanwhile`);
        return [...strangers, ...restarted];
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Waits for a condition, looking often; says what it saw last when it never comes true. */
export async function until(look: () => boolean | Promise<boolean>, limitMs: number, describe: () => string = () => ''): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await look())) {
    if (performance.now() > deadline) throw new Error(`not true within ${Math.round(limitMs / 1_000)} s: ${describe() || look.toString()}`);
    await setTimeout(POLL_MS);
  }
}

function readRuntime(home: string): Runtime {
  return JSON.parse(readFileSync(path.join(home, 'runtime.json'), 'utf8')) as Runtime;
}

async function ended(launcher: ChildProcess): Promise<void> {
  if (launcher.exitCode !== null || launcher.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => launcher.once('exit', () => resolve()));
  launcher.kill('SIGTERM');
  await exited;
}

async function freePortBase(): Promise<number> {
  for (let tries = 0; tries < PORTS_TRIED; tries += 1) {
    const base = 20_000 + Math.floor(Math.random() * 700) * 16;
    if ((await Promise.all(Object.values(portPlan(base)).map(isFree))).every(Boolean)) return base;
  }
  throw new Error('no free ports in a row');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
