// One Postgres server: started, stopped, and taken over from a run that was killed.
import { randomBytes } from 'node:crypto';
import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import { type Account, preparePostgresFiles, processesIn } from './postgres-files.ts';
import { endProcess, freePort, identify, isRunning, type ProcessId, signal, until } from './processes.ts';

export type PostgresOptions = {
  /** Everything lies under `<home>/postgres`, unless the account Postgres runs as can't go there. */
  home: string;
  /** 0 takes a free one. */
  port: number;
  /** The administrator's password: must be the same at every start of one home. */
  adminPassword: string;
  /** False gives up fsync: for tests, whose data is thrown away. */
  durable?: boolean;
  /** Where the server's own log goes; default `<home>/logs/postgres.log`. */
  logFile?: string;
  /** Hears of the process before it is ready. */
  onSpawn?: (known: ProcessId) => void;
};

export type Postgres = {
  port: number;
  process: ProcessId;
  adminUrl: string;
  /** Settles when the server ends, wanted or not. */
  exited: Promise<void>;
  url: (database: string, role: string, password: string) => string;
  /** Ends it cleanly: open transactions roll back, what was committed stays. */
  stop: () => Promise<void>;
  /** SIGKILL, as an accident would. */
  kill: () => Promise<void>;
};

const ADMIN = 'millrace_admin';
const START_DEADLINE_MS = 60_000; // after a crash it replays its log first
const STOP_GRACE_MS = 3_000; // the whole system has five seconds
const ORPHAN_GRACE_MS = 5_000;
const PORT_ATTEMPTS = 3; // a free port may be taken by somebody else before we listen on it

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200', // five services, two pools each, and people looking
  shared_buffers: '512MB', // taken only as pages come; the working set of a day's orders stays in it
  max_wal_size: '1GB',
  default_statistics_target: '10', // no statement of ours hangs on fine statistics, and gathering them from a sample of 30,000 rows a table takes a twentieth of a busy machine
  io_method: 'sync', // pages come from the system's cache: handing them over to processes of their own costs more than reading them
  jit: 'off', // short statements only: compiling costs more than it saves
  max_parallel_workers_per_gather: '0', // parallel plans want /dev/shm, which containers keep small
  idle_in_transaction_session_timeout: '60s', // a stuck client must not hold row locks for ever
  log_line_prefix: '%m [%p] %u@%d ',
  log_error_verbosity: 'terse', // the detail of an error quotes the row that broke a rule
  log_lock_waits: 'on',
  timezone: 'UTC',
};
const THROW_AWAY = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', shared_buffers: '128MB', max_connections: '300' };

export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const { account, bin, data } = preparePostgresFiles(options.home);
  await endOrphans(data);
  if (!existsSync(path.join(data, 'PG_VERSION'))) await initialize(options, bin, data, account);
  for (let attempt = 1; ; attempt++) {
    try {
      return await launch(options, bin, data, account);
    } catch (error) {
      if (options.port !== 0 || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

/** Makes a role with this password that may enter this database and no other; `owner`, if it is another, has no login. Repeats harmlessly. */
export async function ensureDatabase(adminUrl: string, database: string, role: string, password: string, owner = role): Promise<void> {
  const client = new Client({ connectionString: adminUrl });
  client.on('error', () => {}); // the query in hand fails with it
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock(1)'); // rights on shared databases can't be changed by two at once; goes with the connection
    const [db, user, possessor] = [database, role, owner].map(escapeIdentifier);
    const exists = async (name: string): Promise<boolean> => (await client.query('SELECT FROM pg_roles WHERE rolname = $1', [name])).rowCount === 1;
    await client.query(`${(await exists(role)) ? 'ALTER' : 'CREATE'} ROLE ${user} LOGIN PASSWORD ${escapeLiteral(password)}`);
    if (!(await exists(owner))) await client.query(`CREATE ROLE ${possessor} NOLOGIN`);
    const there = await client.query('SELECT FROM pg_database WHERE datname = $1', [database]);
    await client.query(there.rowCount ? `ALTER DATABASE ${db} OWNER TO ${possessor}` : `CREATE DATABASE ${db} OWNER ${possessor}`);
    await client.query(`REVOKE ALL ON DATABASE ${db} FROM PUBLIC`);
    await client.query(`GRANT CONNECT ON DATABASE ${db} TO ${user}`);
    await client.query('REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC');
  } finally {
    await client.end();
  }
}

async function initialize({ adminPassword, durable = true }: PostgresOptions, bin: string, data: string, account: Account): Promise<void> {
  // Made beside and renamed when whole: an interrupted initdb is never mistaken for a database.
  const half = `${data}.new`;
  rmSync(half, { recursive: true, force: true });
  const secret = mkdtempSync(path.join(tmpdir(), 'millrace-'));
  const passwordFile = path.join(secret, 'password');
  try {
    writeFileSync(passwordFile, `${adminPassword}\n`, { mode: 0o600 });
    for (const name of [secret, passwordFile]) if (account.uid !== undefined && account.gid !== undefined) chownSync(name, account.uid, account.gid);
    const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
    const args = ['-D', half, '-U', ADMIN, '--auth=scram-sha-256', `--pwfile=${passwordFile}`, ...locale, ...(durable ? [] : ['--no-sync'])];
    const child = spawn(path.join(bin, 'initdb'), args, { ...account, cwd: path.dirname(data), env: serverEnv(), stdio: ['ignore', 'ignore', 'pipe'] });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
    if (code !== 0) throw new Error(`Postgres could not make its data folder ${data}: ${complaint.trim()}`);
    renameSync(half, data);
  } finally {
    rmSync(secret, { recursive: true, force: true });
  }
}

async function launch(options: PostgresOptions, bin: string, data: string, account: Account): Promise<Postgres> {
  const port = options.port || (await freePort());
  const logFile = options.logFile ?? path.join(options.home, 'logs', 'postgres.log');
  mkdirSync(path.dirname(logFile), { recursive: true });
  const settings = { ...SETTINGS, ...(options.durable === false ? THROW_AWAY : {}), port: String(port) };
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(path.join(bin, 'postgres'), ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])], {
    ...account,
    cwd: '/',
    env: serverEnv(),
    detached: true, // Ctrl-C in a terminal goes to the whole group; this one is stopped last, by us
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const exited = new Promise<void>((resolve) => child.once('error', () => resolve()).once('exit', () => resolve()));
  const known = child.pid === undefined ? undefined : identify(child.pid);
  if (!known) throw new Error(`Postgres did not start; its log is ${logFile}.`);
  options.onSpawn?.(known);
  const url = (database: string, role: string, password: string): string => `postgresql://${role}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
  const adminUrl = url('postgres', ADMIN, options.adminPassword);
  try {
    await answers(adminUrl, child, logFile);
  } catch (error) {
    child.kill('SIGQUIT');
    // Before anybody tries again: two servers can't share the folder.
    await exited;
    throw error;
  }
  return {
    port,
    process: known,
    adminUrl,
    exited,
    url,
    stop: async () => {
      signal(known, 'SIGINT');
      if (!(await until(() => !isRunning(known), STOP_GRACE_MS))) await endProcess(known, 1_000, 'SIGQUIT');
      // Waited for, too: the next server takes a zombie in postmaster.pid for one that runs.
      await exited;
    },
    kill: async () => {
      signal(known, 'SIGKILL');
      await exited;
    },
  };
}

async function answers(adminUrl: string, child: ChildProcess, logFile: string): Promise<void> {
  let last = '';
  const ready = await until(async () => {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`Postgres did not start: ${lastLines(logFile)} (its log: ${logFile})`);
    const client = new Client({ connectionString: adminUrl });
    client.on('error', () => {}); // a connection lost between two tries is the same as none
    try {
      await client.connect();
      return true;
    } catch (error) {
      last = (error as Error).message;
      if ((error as { code?: string }).code === '28P01') throw new Error('Postgres refuses the administrator: the data folder and secrets.json in the home do not belong together.', { cause: error });
      return false;
    } finally {
      await client.end().catch(() => {});
    }
  }, START_DEADLINE_MS);
  if (ready) return;
  throw new Error(`Postgres did not answer within ${START_DEADLINE_MS / 1000} s: ${last} (its log: ${logFile})`);
}

// After kill -9 of the launcher the server may live on, and after kill -9 of the server its children for a moment.
// Both hold the data folder, and no second server may open it before they are gone.
async function endOrphans(data: string): Promise<void> {
  const pidFile = path.join(data, 'postmaster.pid');
  const recorded = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8').split('\n')[0]) : undefined;
  if (recorded !== undefined && process.platform !== 'linux') return; // without /proc Postgres' own check must do
  const inside = processesIn(data);
  const server = recorded !== undefined && inside.includes(recorded) ? identify(recorded) : undefined;
  if (server) await endProcess(server, ORPHAN_GRACE_MS, 'SIGINT');
  for (const pid of processesIn(data)) {
    const left = identify(pid);
    if (left) await endProcess(left, ORPHAN_GRACE_MS);
  }
  // The pid in the file may be somebody else's by now, and Postgres would refuse to start because of it.
  if (recorded !== undefined) rmSync(pidFile, { force: true });
}

function serverEnv(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').trim().split('\n').slice(-3).join(' / ');
}

export function randomPassword(): string {
  return randomBytes(18).toString('base64url');
}
