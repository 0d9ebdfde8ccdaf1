// Finds a nats-server that is new enough, or fetches one: PATH, our cache, the official release, the Debian package.
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Atomic batches came with 2.12. */
const OLDEST = [2, 12] as const;
const RELEASE = '2.14.5';
const RELEASES = `https://github.com/nats-io/nats-server/releases/download/v${RELEASE}`;
// As nats-io/nats-docker pins them for its own images. For other platforms the release's SHA256SUMS has to do.
const SHA256: Record<string, string> = {
  'linux-amd64': '5e3b603d47c447bda1f77f9ac16dbf91c90aac4ff3681f8fbbc7201e4ed99355',
  'linux-arm64': '673a98d3faa79dde3f9ebf16d6dfac36a5f694e7ad2015e4954dd7939c85cd4c',
};
const FIRST_BYTE_MS = 5_000; // a closed network must not hold up the next option
const DOWNLOAD_MS = 90_000;
const APT_MS = 120_000;
const MAX_ARCHIVE_BYTES = 64 * 1024 * 1024; // a release is 7 MB

/** The path of a usable nats-server. Throws with every option's reason when there is none. */
export async function findNatsServer(say: (line: string) => void = () => {}): Promise<string> {
  const cached = path.join(cacheFolder(), 'nats-server');
  const options: [name: string, find: () => Promise<string>][] = [
    ['nats-server on PATH', () => checked('nats-server')],
    ['cache', () => checked(cached)],
    ['official release', () => fetched(cached, say, 'the official release', releaseInto)],
    ['Debian package', () => fetched(cached, say, "the distribution's package", debianPackageInto)],
  ];
  const reasons: string[] = [];
  for (const [name, find] of options) {
    try {
      return await find();
    } catch (error) {
      reasons.push(`  ${name}: ${reason(error)}`);
    }
  }
  throw new Error(`No nats-server ${OLDEST.join('.')} or newer could be found or fetched:\n${reasons.join('\n')}\nInstall one (https://nats.io/download) so that it is on PATH, or point NATS_URL at a running server.`);
}

export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.replace(/^.*v/, '').split('.').map(Number);
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

async function checked(binary: string): Promise<string> {
  const { stdout } = await run(binary, ['--version'], { timeout: 10_000 });
  const version = stdout.trim().replace('nats-server: ', '');
  if (!isNewEnough(version)) throw new Error(`is ${version}`);
  return binary;
}

async function fetched(cached: string, say: (line: string) => void, what: string, fetchInto: (folder: string) => Promise<string>): Promise<string> {
  const work = await mkdtemp(path.join(tmpdir(), 'millrace-nats-'));
  try {
    say(`fetching nats-server (${what}) …`);
    const binary = await fetchInto(work);
    await chmod(binary, 0o755);
    await checked(binary);
    await mkdir(path.dirname(cached), { recursive: true });
    const half = `${cached}.${randomUUID()}`;
    await copyFile(binary, half); // not renamed: the cache may be another file system
    await rename(half, cached);
    return cached;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function releaseInto(folder: string): Promise<string> {
  const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
  const name = `nats-server-v${RELEASE}-${platform}`;
  const archive = await download(`${RELEASES}/${name}.tar.gz`);
  const wanted = SHA256[platform] ?? sumFor(`${name}.tar.gz`, (await download(`${RELEASES}/SHA256SUMS`)).toString('utf8'));
  const actual = createHash('sha256').update(archive).digest('hex');
  if (actual !== wanted) throw new Error(`${name}.tar.gz has checksum ${actual}, expected ${wanted}`);
  const file = path.join(folder, 'release.tar.gz');
  await writeFile(file, archive);
  await run('tar', ['-xzf', file, '-C', folder]);
  return path.join(folder, name, 'nats-server');
}

function sumFor(file: string, sums: string): string {
  const line = sums.split('\n').find((entry) => entry.trim().endsWith(` ${file}`));
  if (!line) throw new Error(`there is no release for this platform (${file})`);
  return line.trim().split(/\s+/)[0] ?? '';
}

async function download(url: string): Promise<Buffer> {
  const slow = new AbortController();
  const timer = setTimeout(() => slow.abort(new Error('no answer')), FIRST_BYTE_MS);
  try {
    const response = await fetch(url, { signal: AbortSignal.any([slow.signal, AbortSignal.timeout(DOWNLOAD_MS)]) });
    clearTimeout(timer);
    if (!response.ok || !response.body) throw new Error(`${url} answered ${response.status}`);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of response.body) {
      size += chunk.length;
      if (size > MAX_ARCHIVE_BYTES) throw new Error(`${url} is larger than a release can be`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    clearTimeout(timer);
  }
}

// The newest package of the mirror this machine already trusts, unpacked beside the system: nothing is installed, and the
// machine's own package lists and sources stay as they are. A stable release's own package may be years too old.
async function debianPackageInto(folder: string): Promise<string> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(REPO_URI) $(ORIGIN)'], { timeout: APT_MS });
  const mirror = stdout.split('\n').find((line) => line.endsWith(' Debian'))?.split(' ')[0];
  if (!mirror) throw new Error('no Debian mirror is configured here');
  await mkdir(path.join(folder, 'lists', 'partial'), { recursive: true });
  await chmod(folder, 0o755);
  await writeFile(path.join(folder, 'sources.list'), `deb ${mirror} sid main\ndeb ${mirror} trixie main\n`);
  const apart = [`Dir::Etc::sourcelist=${folder}/sources.list`, 'Dir::Etc::sourceparts=/dev/null', `Dir::State::Lists=${folder}/lists`, 'Dir::Cache::pkgcache=', 'Dir::Cache::srcpkgcache='];
  const flags = [...apart, 'APT::Sandbox::User=root', 'Acquire::Retries=1', 'Acquire::http::Timeout=10', 'Acquire::Languages=none'].flatMap((setting) => ['-o', setting]);
  await run('apt-get', [...flags, '-qq', 'update'], { timeout: APT_MS });
  await run('apt-get', [...flags, '-qq', 'download', 'nats-server'], { timeout: APT_MS, cwd: folder });
  const file = (await readdir(folder)).find((name) => name.endsWith('.deb'));
  if (!file) throw new Error('the mirror has no nats-server package');
  await run('dpkg', ['-x', path.join(folder, file), path.join(folder, 'root')], { timeout: APT_MS });
  const binary = ['usr/sbin/nats-server', 'usr/bin/nats-server'].map((name) => path.join(folder, 'root', name)).find((name) => existsSync(name));
  if (!binary) throw new Error('the package holds no nats-server');
  return binary;
}

function cacheFolder(): string {
  return path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'millrace');
}

function reason(error: unknown): string {
  const { message, code, cause } = error as { message: string; code?: string; cause?: { code?: string; message?: string } };
  if (code === 'ENOENT') return 'not found';
  return (cause?.code ?? cause?.message ?? message).split('\n')[0] ?? 'failed';
}
