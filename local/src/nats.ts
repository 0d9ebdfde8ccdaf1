// One nats-server with JetStream, its users and their rights.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { connect } from '@nats-io/transport-node';
import { findNatsServer } from './nats-binary.ts';
import { INSPECTOR, type Permissions, SERVICES, SETUP_USER, inspectorPermissions, servicePermissions } from './nats-permissions.ts';
import { identify, isRunning, type ProcessId, signal, until } from './processes.ts';

export type NatsOptions = {
  /** Config, data and the file of ports lie here. */
  folder: string;
  /** 0 takes a free one. */
  port: number;
  /** Password of a user. Must be the same at every start as long as clients remember it. */
  password: (user: string) => string;
  /** False leaves flushing to the system: for tests, whose data is thrown away. */
  durable?: boolean;
  logFile?: string;
  binary?: string;
  /** Hears of the process before it is ready. */
  onSpawn?: (known: ProcessId) => void;
};

export type Nats = {
  port: number;
  /** Its own HTTP endpoint: /healthz, /varz, /jsz. */
  monitor: string;
  process: ProcessId;
  exited: Promise<void>;
  url: (user: string) => string;
  stop: () => Promise<void>;
  /** SIGKILL, as an accident would. */
  kill: () => Promise<void>;
};

const START_DEADLINE_MS = 30_000; // it replays its streams first
const STOP_GRACE_MS = 2_000;
const MAX_CONNECTIONS = 512;
/** It shares the machine with all the others: threads beyond these mostly spin while they look for work. */
const THREADS = Math.max(1, Math.floor(availableParallelism() / 2));

export const USERS: readonly string[] = [SETUP_USER, INSPECTOR, ...SERVICES];

export async function startNats(options: NatsOptions): Promise<Nats> {
  const binary = options.binary ?? (await findNatsServer());
  const { folder, password } = options;
  const logFile = options.logFile ?? path.join(folder, 'nats.log');
  mkdirSync(path.dirname(logFile), { recursive: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const config = path.join(folder, 'nats.conf');
  writeFileSync(config, natsConfig({ listen: `127.0.0.1:${options.port || -1}`, monitor: '127.0.0.1:-1', storeDir: path.join(folder, 'data'), portsDir: folder, password: (user) => JSON.stringify(password(user)), durable: options.durable ?? true }), { mode: 0o600 });

  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(binary, ['-c', config], { env: { GOMAXPROCS: String(THREADS), ...process.env }, detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  const exited = new Promise<void>((resolve) => child.once('error', () => resolve()).once('exit', () => resolve()));
  const known = child.pid === undefined ? undefined : identify(child.pid);
  if (!known) throw new Error(`nats-server did not start (${binary})`);
  options.onSpawn?.(known);
  const portsFile = path.join(folder, `${path.basename(binary)}_${known.pid}.ports`);
  const stop = async (): Promise<void> => {
    signal(known, 'SIGTERM');
    if (!(await until(() => !isRunning(known), STOP_GRACE_MS))) signal(known, 'SIGKILL');
    await exited;
    rmSync(portsFile, { force: true });
  };
  try {
    const { port, monitor } = await portsOf(portsFile, known, logFile);
    const url = (user: string): string => `nats://${user}:${encodeURIComponent(password(user))}@127.0.0.1:${port}`;
    await answers(url(SETUP_USER), monitor, logFile);
    return {
      port,
      monitor,
      process: known,
      exited,
      url,
      stop,
      kill: async () => {
        signal(known, 'SIGKILL');
        await exited;
        rmSync(portsFile, { force: true });
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

type ConfigOptions = { listen: string; monitor: string; storeDir: string; portsDir?: string; password: (user: string) => string; durable: boolean };

/** The server's configuration as text; also what the containers run. Passwords are written as given: quote them, or name a variable. */
export function natsConfig({ listen, monitor, storeDir, portsDir, password, durable }: ConfigOptions): string {
  const users = USERS.map((user) => `    { user: ${user}, password: ${password(user)}${user === SETUP_USER ? '' : `, permissions: ${JSON.stringify(permissionsOf(user))}`} }`);
  return [
    'server_name: millrace',
    `listen: ${JSON.stringify(listen)}`,
    `http: ${JSON.stringify(monitor)}`,
    ...(portsDir === undefined ? [] : [`ports_file_dir: ${JSON.stringify(portsDir)}`]),
    'max_payload: 1MB',
    `max_connections: ${MAX_CONNECTIONS}`,
    'max_pending: 32MB',
    'write_deadline: "10s"',
    // Without "always" a publish is acked up to two minutes before it is on disk.
    `jetstream { store_dir: ${JSON.stringify(storeDir)}, max_memory_store: 64MB, max_file_store: 16GB${durable ? ', sync_interval: always' : ''} }`,
    'authorization {',
    '  users: [',
    ...users,
    '  ]',
    '}',
    '',
  ].join('\n');
}

/** Where a container's configuration finds a user's password: `$NATS_PASSWORD_ORDER`. */
export function passwordVariable(user: string): string {
  return `$NATS_PASSWORD_${user.toUpperCase()}`;
}

function permissionsOf(user: string): Permissions {
  return user === INSPECTOR ? inspectorPermissions() : servicePermissions(user);
}

async function portsOf(file: string, known: ProcessId, logFile: string): Promise<{ port: number; monitor: string }> {
  let ports: { nats?: string[]; monitoring?: string[] } = {};
  const written = await until(() => {
    if (!isRunning(known)) throw new Error(`nats-server did not start: ${lastLines(logFile)} (its log: ${logFile})`);
    if (!existsSync(file)) return false;
    try {
      ports = JSON.parse(readFileSync(file, 'utf8')) as typeof ports;
      return true;
    } catch {
      return false; // half written
    }
  }, START_DEADLINE_MS);
  const [client, monitor] = [ports.nats?.[0], ports.monitoring?.[0]];
  if (!written || !client || !monitor) throw new Error(`nats-server did not open its ports within ${START_DEADLINE_MS / 1000} s (its log: ${logFile})`);
  return { port: Number(new URL(client).port), monitor };
}

async function answers(url: string, monitor: string, logFile: string): Promise<void> {
  const healthy = async (): Promise<boolean> => (await fetch(`${monitor}/healthz`).catch(() => undefined))?.ok ?? false;
  if (!(await until(healthy, START_DEADLINE_MS))) throw new Error(`nats-server is not healthy after ${START_DEADLINE_MS / 1000} s (its log: ${logFile})`);
  const connection = await connect({ ...natsLogin(url), reconnect: false });
  await connection.close();
}

/** User and password out of a URL: the client library does not read them from there. */
export function natsLogin(url: string): { servers: string; user?: string; pass?: string } {
  const { host, username, password } = new URL(url);
  return { servers: host, ...(username ? { user: decodeURIComponent(username), pass: decodeURIComponent(password) } : {}) };
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').trim().split('\n').slice(-3).join(' / ');
}
