// What `npm start`, `npm stop`, `npm test` and `npm run generate` run: makes sure that dependencies and generated code are
// there, then hands over to the pinned Node. Plain JavaScript without dependencies, for any Node from 18 on.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { USAGE, readFlags } from './flags.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const MODULES = path.join(ROOT, 'node_modules');
const OLDEST_NODE = 18;
const RUNS_TYPESCRIPT = [22, 18];

const verbs = {
  async start(args) {
    const { help } = readFlags(args);
    if (help) return print(USAGE);
    await setUp();
    return handOver([path.join(ROOT, 'local/src/main.ts'), ...args], compileCache());
  },
  async stop() {
    if (!existsSync(MODULES)) return print('Nothing is running: Millrace was never started here.');
    return handOver([path.join(ROOT, 'local/src/stop.ts')]);
  },
  async test(args) {
    await setUp();
    return handOver([path.join(MODULES, 'vitest/vitest.mjs'), 'run', ...args]);
  },
  async generate() {
    install();
    const buf = spawnSync(pinnedNode(), [path.join(MODULES, '@bufbuild/buf/bin/buf'), 'generate'], { cwd: ROOT, stdio: 'inherit', env: withPinnedNode() });
    if (buf.status !== 0) throw new Error('buf generate failed (see above).');
    await generatePrisma(true);
    print('Generated gen/proto and gen/prisma.');
  },
  /** A program of this repository, with everything in place: `npm run bench`, `npm run chaos`. */
  async run([program, ...args]) {
    await setUp();
    return handOver([path.join(ROOT, program ?? ''), ...args]);
  },
  setup: () => setUp(),
};

async function main([verb, ...args]) {
  const [major] = version(process.versions.node);
  if (major < OLDEST_NODE) throw new Error(`Node ${process.versions.node} is too old: any Node from ${OLDEST_NODE} on will do, it then brings its own.`);
  const run = Object.hasOwn(verbs, verb ?? '') ? verbs[verb] : undefined;
  if (!run) throw new Error(`I know ${Object.keys(verbs).join(', ')}, not "${verb ?? ''}".`);
  await run(args);
}

async function setUp() {
  install();
  await generatePrisma(false);
}

function install() {
  if (isInstalled()) return;
  print('Installing dependencies (npm ci) …');
  const started = Date.now();
  // Not "production": the pinned Node and the code generators are development dependencies. No install scripts but those
  // that package.json names: older npms would run them all, and Prisma's refuses the older Nodes that may run us.
  runNpm(['ci', '--ignore-scripts', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error']);
  const named = Object.keys(readJson(path.join(ROOT, 'package.json'))?.allowScripts ?? {}).filter((name) => existsSync(path.join(MODULES, name)));
  runNpm(['rebuild', ...named, '--loglevel=error']);
  if (!isInstalled()) throw new Error('npm ci went through, but not everything that package-lock.json names is there. Remove node_modules and try again.');
  print(`Installed in ${Math.round((Date.now() - started) / 1000)} s.`);
}

function runNpm(args) {
  const [command, ...before] = npm();
  const { status, error, stdout = '', stderr = '' } = spawnSync(command, [...before, ...args], { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], shell: command === 'npm.cmd', maxBuffer: 64 * 1024 * 1024 });
  if (error?.code === 'ENOENT') throw new Error('npm is not on the PATH. Install Node with npm (https://nodejs.org) and try again.');
  if (status !== 0) throw new Error(whyNpmFailed(`${stderr}\n${stdout}\n${error?.message ?? ''}`));
}

// npm writes down what it installed as its last step: no note, or another version than the lock file's, and we install.
function isInstalled() {
  const lock = readJson(path.join(ROOT, 'package-lock.json'))?.packages;
  const there = readJson(path.join(MODULES, '.package-lock.json'))?.packages;
  if (!lock) throw new Error('package-lock.json is missing or damaged: this is not a whole checkout.');
  if (!there || !usableNode()) return false;
  return Object.entries(lock).every(([name, { version: wanted, optional }]) => !name.startsWith('node_modules/') || (name in there ? there[name].version === wanted : optional === true));
}

function npm() {
  const running = process.env.npm_execpath ?? '';
  if (/npm-cli\.[cm]?js$/.test(running) && existsSync(running)) return [process.execPath, running];
  return [process.platform === 'win32' ? 'npm.cmd' : 'npm'];
}

function whyNpmFailed(output) {
  const reasons = [
    [/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ECONNRESET|ERR_SOCKET_TIMEOUT/, 'The package registry cannot be reached. Is there a network, or a proxy or registry to set (npm config)?'],
    [/E40[13]|Unauthorized|Forbidden/, 'The package registry refused us. Does npm need a login or a token here?'],
    [/E404|ETARGET/, 'The package registry does not have a package that we need. Is it a mirror that lags behind?'],
    [/EINTEGRITY/, 'A package arrived with another content than the lock file says.'],
    [/ENOSPC/, 'The disk is full.'],
    [/EACCES|EPERM|EROFS/, `Cannot write to ${MODULES}.`],
  ];
  const [, words = 'npm ci failed.'] = reasons.find(([pattern]) => pattern.test(output)) ?? [];
  const lines = output.split('\n').map((line) => line.trimEnd()).filter((line) => line !== '' && !line.includes('A complete log of this run'));
  return `${words}\n${lines.slice(-8).map((line) => `  ${line}`).join('\n')}`;
}

async function generatePrisma(always) {
  const services = path.join(ROOT, 'services');
  const schemas = readdirSync(services).map((name) => ({ name, schema: path.join(services, name, 'prisma/schema.prisma') }));
  const prisma = path.join(MODULES, 'prisma/package.json');
  const stampFile = path.join(MODULES, '.millrace-prisma.json');
  const stamp = readJson(stampFile) ?? {};
  const changed = [];
  for (const { name, schema } of schemas.filter((one) => existsSync(one.schema))) {
    const digest = createHash('sha256').update(readFileSync(prisma)).update(readFileSync(schema)).digest('hex');
    if (always || stamp[name] !== digest || !existsSync(path.join(ROOT, 'gen/prisma', name))) changed.push({ name, schema, digest });
  }
  if (changed.length === 0) return;
  print(`Generating database clients (${changed.map(({ name }) => name).join(', ')}) …`);
  await Promise.all(changed.map(({ schema }) => prismaGenerate(schema)));
  for (const { name, digest } of changed) stamp[name] = digest;
  mkdirSync(MODULES, { recursive: true });
  writeFileSync(stampFile, JSON.stringify(stamp));
}

// Prisma would download an engine that generating does not use; any executable in its place keeps it from trying.
function prismaGenerate(schema) {
  const node = pinnedNode();
  const env = { ...withPinnedNode(), PRISMA_SCHEMA_ENGINE_BINARY: node, PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1', NO_COLOR: '1' };
  return new Promise((resolve, reject) => {
    const child = spawn(node, [path.join(MODULES, 'prisma/build/index.js'), 'generate', '--schema', schema], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`prisma generate failed for ${path.relative(ROOT, schema)}:\n${output.trim()}`))));
  });
}

function usableNode() {
  const pinned = path.join(MODULES, 'node/bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (existsSync(pinned)) return pinned;
  const [major, minor] = version(process.versions.node);
  const runsTypeScript = major > RUNS_TYPESCRIPT[0] || (major === RUNS_TYPESCRIPT[0] && minor >= RUNS_TYPESCRIPT[1]);
  return runsTypeScript ? process.execPath : undefined;
}

function pinnedNode() {
  const node = usableNode();
  if (!node) throw new Error(`The Node that this repository pins is not installed, and Node ${process.versions.node} cannot run TypeScript. Remove node_modules and try again.`);
  return node;
}

function withPinnedNode() {
  return { ...process.env, PATH: [path.dirname(pinnedNode()), path.join(MODULES, '.bin'), process.env.PATH ?? ''].join(path.delimiter) };
}

// As the launcher does for the processes it starts.
function compileCache() {
  return { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? path.join(MODULES, '.cache', 'millrace-compile') };
}

// The launcher decides what a signal means; we only pass it on and leave with its exit code.
function handOver(args, more = {}) {
  const child = spawn(pinnedNode(), args, { cwd: ROOT, stdio: 'inherit', env: { ...withPinnedNode(), ...more } });
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => child.kill(name));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      process.exitCode = code ?? (signal ? 1 : 0);
      resolve();
    });
  });
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

function version(text) {
  return text.split('.').map(Number);
}

function print(line) {
  process.stdout.write(`${line}\n`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
