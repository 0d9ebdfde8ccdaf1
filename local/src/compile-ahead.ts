// Compiles what the processes will run into Node's compile cache, before they start. A process that has to strip types itself loads a compiler for it and
// keeps that ever after: about 18 MB each. It also makes the first start as fast as the later ones.
import { spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { constants, enableCompileCache } from 'node:module';
import path from 'node:path';
import { ROOT } from './home.ts';

/** The environment of every process of ours; local/bootstrap.mjs names the same folder. */
export const COMPILE_CACHE = { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? path.join(ROOT, 'node_modules/.cache/millrace-compile') };

const { ENABLED, ALREADY_ENABLED } = constants.compileCacheStatus;
const ENTRY_POINTS = ['services/*/src/main.ts', 'gen/prisma/*/client.ts', 'edge/src/main.ts', 'sandbox/src/main.ts', 'local/src/together.ts'];
const SOURCES = ['{chassis,edge,sandbox}/src/**/*.ts', 'services/*/src/**/*.ts', 'gen/{proto,prisma}/**/*.{ts,js}', 'local/src/*.ts', 'package-lock.json'];
const STAMP = path.join(COMPILE_CACHE.NODE_COMPILE_CACHE, 'sources');

/** It takes a second; without it the start is only slower and larger. */
const LIMIT_MS = 30_000;

/** Does nothing while the sources are those of the last time. A source that can't be compiled is not our affair: the process that needs it will say so. */
export async function compileAhead(): Promise<void> {
  const stamp = stampOf(globSync(SOURCES, { cwd: ROOT }).sort());
  if (stamp === lastStamp()) return;
  const child = spawn(process.execPath, [import.meta.filename], { cwd: ROOT, stdio: 'ignore', timeout: LIMIT_MS });
  const status = await new Promise((resolve) => child.once('error', resolve).once('exit', resolve));
  if (status === 0) writeFileSync(STAMP, stamp);
}

/** By time and size, as make does: reading five hundred files at every start would cost more than it saves. */
function stampOf(files: string[]): string {
  const marks = files.map((file) => {
    const { mtimeMs, size } = statSync(path.join(ROOT, file));
    return `${file} ${mtimeMs} ${size}`;
  });
  return hash('sha256', [ROOT, process.version, ...marks].join('\n'));
}

function lastStamp(): string | undefined {
  try {
    return readFileSync(STAMP, 'utf8');
  } catch {
    return undefined;
  }
}

if (import.meta.main) {
  const { status } = enableCompileCache(COMPILE_CACHE.NODE_COMPILE_CACHE);
  if (status !== ENABLED && status !== ALREADY_ENABLED) process.exit(1); // switched off, or no folder to write to
  for (const file of globSync(ENTRY_POINTS, { cwd: ROOT })) await import(path.join(ROOT, file));
  process.exit(); // what was imported may have opened something; the cache is written on the way out
}
