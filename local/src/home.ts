// The folder that holds everything of one installation: data, logs, secrets, and who is running on it.
import { randomBytes, randomUUID } from 'node:crypto';
import { accessSync, chmodSync, constants, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type ProcessId, identify, isRunning } from './processes.ts';

export type Home = {
  folder: string;
  /** Path of something in the home. */
  file(...parts: string[]): string;
  /** A secret by name, made at first use and the same ever after. */
  secret: (name: string) => string;
};

export const ROOT = path.resolve(import.meta.dirname, '../..');

export function homeFolder(env: NodeJS.ProcessEnv): string {
  return path.resolve(env.MILLRACE_HOME || path.join(ROOT, '.millrace'));
}

/** Makes the folder when it is missing; throws in plain words when it can't be used. */
export function openHome(folder: string): Home {
  try {
    const fresh = !existsSync(folder) || readdirSync(folder).length === 0;
    makeFolder(folder);
    // Postgres runs as another user when we are root and has to pass through; the secrets inside are for the owner only.
    if (fresh) chmodSync(folder, 0o711);
    mkdirSync(path.join(folder, 'logs'), { recursive: true, mode: 0o700 });
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    accessSync(path.join(folder, 'logs'), constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = { ENOENT: 'no folder can be made there', ENOTDIR: 'it is not a folder', EEXIST: 'it is not a folder', EACCES: 'this user may not write there', EROFS: 'the disk is read-only', ENOSPC: 'the disk is full' }[code ?? ''] ?? (error as Error).message;
    throw new Error(`The home ${folder} can't be used: ${why}. MILLRACE_HOME names another one.`, { cause: error });
  }
  const file = (...parts: string[]): string => path.join(folder, ...parts);
  return { folder, file, secret: secretsIn(file('secrets.json')) };
}

// Node's own recursive mkdir never returns where a file system refuses new folders with "not found", as /proc does.
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(path.dirname(folder));
  mkdirSync(folder);
}

/** Takes the home for this process. Throws when another launcher runs on it. */
export function lockHome(home: Home): void {
  const lock = home.file('launcher.json');
  const other = lockHolder(home);
  if (other) throw new Error(`Millrace already runs on ${home.folder} (pid ${other.pid}). Stop it with: npm stop`);
  rmSync(lock, { force: true });
  try {
    writeFileSync(lock, JSON.stringify(identify(process.pid)), { flag: 'wx' });
  } catch (error) {
    throw new Error(`Another launcher is just starting on ${home.folder}.`, { cause: error });
  }
}

/** The launcher that runs on this home. */
export function lockHolder(home: Home): ProcessId | undefined {
  const holder = readJson<ProcessId>(home.file('launcher.json'));
  return holder && isRunning(holder) ? holder : undefined;
}

export function unlockHome(home: Home): void {
  rmSync(home.file('launcher.json'), { force: true });
}

/** Whole or not at all, also when we are killed in the middle. */
export function writeAtomically(file: string, content: string, mode = 0o600): void {
  const half = `${file}.${randomUUID()}`;
  writeFileSync(half, content, { mode, flush: true });
  renameSync(half, file);
}

export function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function secretsIn(file: string): (name: string) => string {
  const known = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>) : {};
  return (name) => {
    const there = known[name];
    if (there !== undefined) return there;
    const made = randomBytes(18).toString('base64url');
    known[name] = made;
    writeAtomically(file, `${JSON.stringify(known, null, 2)}\n`);
    return made;
  };
}
