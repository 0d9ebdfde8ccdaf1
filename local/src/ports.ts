// Which process listens where, and who sits on a port that we want.
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { SERVICES } from './nats-permissions.ts';

export type Ports = Record<(typeof NAMES)[number], number>;

const NAMES = ['edge', ...SERVICES, 'sandbox', 'nats', 'postgres'] as const;
const OFFSETS: Ports = { edge: 0, order: 1, product: 2, inventory: 3, payment: 4, notification: 5, sandbox: 10, nats: 12, postgres: 13 };
const DEFAULT_BASE = 8080;
const HIGHEST_OFFSET = Math.max(...Object.values(OFFSETS));

export function readPortBase(text: string | undefined): number {
  if (text === undefined || text === '') return DEFAULT_BASE;
  const base = Number(text);
  if (!/^\d+$/.test(text) || base < 1 || base + HIGHEST_OFFSET > 65_535) throw new Error(`MILLRACE_PORT_BASE must be a number from 1 to ${65_535 - HIGHEST_OFFSET}, not "${text}".`);
  return base;
}

/** Services that run together share order's. */
export function portPlan(base: number, together = false): Ports {
  const shares = (name: string): boolean => together && (SERVICES as readonly string[]).includes(name);
  return Object.fromEntries(NAMES.map((name) => [name, base + OFFSETS[shares(name) ? 'order' : name]])) as Ports;
}

/** Throws, naming every port of ours that somebody else has. */
export async function refuseTakenPorts(ports: { [name in keyof Ports]?: number | undefined }): Promise<void> {
  const taken: string[] = [];
  // A port that several share is tried once.
  const names = new Map<number | undefined, string>();
  for (const [name, port] of Object.entries(ports)) if (!names.has(port)) names.set(port, name);
  for (const [port, name] of names) {
    const code = port === undefined ? undefined : await tryListen(port);
    if (code === 'EACCES') taken.push(`  ${port} (${name}): this user may not listen there`);
    else if (code !== undefined) taken.push(`  ${port} (${name}): taken${whoListens(port ?? 0)}`);
  }
  if (taken.length === 0) return;
  throw new Error(`Ports that Millrace needs are not free:\n${taken.join('\n')}\nStop what uses them, or choose others: MILLRACE_PORT_BASE=9080 npm start`);
}

async function tryListen(port: number): Promise<string | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(undefined)));
  });
}

// " by node (pid 123)" where the system lets us know, else nothing.
function whoListens(port: number): string {
  try {
    const hex = port.toString(16).toUpperCase().padStart(4, '0');
    const lines = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => readFileSync(file, 'utf8').split('\n').slice(1));
    const listening = lines.map((line) => line.trim().split(/\s+/)).find((fields) => fields[1]?.endsWith(`:${hex}`) && fields[3] === '0A');
    const socket = `socket:[${listening?.[9]}]`;
    const pid = readdirSync('/proc').find((name) => /^\d+$/.test(name) && holds(name, socket));
    const [program = ''] = pid ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0') : [];
    return pid ? ` by ${path.basename(program)} (pid ${pid})` : '';
  } catch {
    return '';
  }
}

function holds(pid: string, socket: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === socket);
  } catch {
    return false; // gone by now, or not ours to look into
  }
}

function linkOf(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}
