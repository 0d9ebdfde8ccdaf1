// A cable to a port of this machine that can be pulled: a pair of virtual network devices, one end in a network namespace. Packets are really
// lost, and the two kernels find out by themselves, as between two machines. Needs root, and `ip` and `unshare`.
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { pipeline } from 'node:stream';
import { until } from '../wait.ts';

/** `cut`: nothing passes. `deaf`: what is sent arrives, and no answer comes back, not even that it has arrived. */
export type CableState = 'whole' | 'cut' | 'deaf';

export type Cable = {
  /** `host:port` that leads to the port at the other end. */
  address: string;
  set(state: CableState): void;
  /** Packets that were lost so far. */
  lost(): number;
  close(): Promise<void>;
};

const PORT = 9_000;
const READY_MS = 15_000;
/** Blocks of four addresses in 198.18.0.0/15, which is set aside for tests of networks (RFC 2544). */
const BLOCKS = 32_768;
const TRIES = 5;
/** Where "packets without a route" stands in the line of numbers of /proc/net/snmp. */
const NO_ROUTES = 12;

export const mayLayCable = (): boolean => process.platform === 'linux' && process.getuid?.() === 0 && spawnSync('unshare', ['--net', 'ip', 'link', 'show', 'lo']).status === 0;

/** `folder`: where the socket between the two ends lies. */
export async function layCable(upstreamPort: number, folder: string): Promise<Cable> {
  const socket = path.join(folder, 'cable.sock');
  const server = createServer((far) => pipeline(far, connect({ port: upstreamPort, host: '127.0.0.1', noDelay: true }), far, () => {}));
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socket, resolve));
  const far = spawn('unshare', ['--net', process.execPath, path.join(import.meta.dirname, 'far-end.ts'), socket, String(PORT)], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const heard = once(far.stdout, 'data');
    await until('the far end of the cable is ready', READY_MS, async () => Promise.race([heard.then(() => true), once(far, 'exit').then(() => Promise.reject(new Error('it has ended')))]));
    const devices = layDevices(far);
    return plugged(far, devices, async () => {
      // It would go with the namespace: once the kernel has given up on the packets that are still under way.
      ip('link', 'del', devices.near);
      await ended(far);
      await new Promise((resolve) => server.close(resolve));
      rmSync(socket, { force: true });
    });
  } catch (error) {
    await ended(far);
    server.close();
    throw error;
  }
}

type Devices = { near: string; nearAddress: string; farAddress: string };

function layDevices(far: ChildProcess): Devices {
  for (let tries = 1; ; tries += 1) {
    const block = randomInt(BLOCKS);
    const near = `chaos${block}`;
    const [nearAddress, farAddress] = [1, 2].map((host) => `198.${18 + (block >> 14)}.${(block >> 6) & 255}.${((block & 63) << 2) + host}`) as [string, string];
    try {
      ip('link', 'add', near, 'type', 'veth', 'peer', 'name', 'far', 'netns', String(far.pid));
    } catch (error) {
      if (tries < TRIES) continue;
      throw error;
    }
    ip('addr', 'add', `${nearAddress}/30`, 'dev', near);
    ip('link', 'set', near, 'up');
    ipAt(far, 'addr', 'add', `${farAddress}/30`, 'dev', 'far');
    ipAt(far, 'link', 'set', 'far', 'up');
    return { near, nearAddress, farAddress };
  }
}

function plugged(far: ChildProcess, { near, nearAddress, farAddress }: Devices, close: Cable['close']): Cable {
  let state: CableState = 'whole';
  const numbers = (file: string): number[] => readFileSync(file, 'utf8').split('\n').filter((line) => line.startsWith('Ip:')).at(-1)?.split(' ').map(Number) ?? [];
  return {
    address: `${farAddress}:${PORT}`,
    close,
    set(next) {
      if (next === state) return;
      if (state === 'cut') ipAt(far, 'link', 'set', 'far', 'up');
      if (state === 'deaf') ipAt(far, 'route', 'del', 'blackhole', nearAddress);
      if (next === 'cut') ipAt(far, 'link', 'set', 'far', 'down');
      if (next === 'deaf') ipAt(far, 'route', 'replace', 'blackhole', nearAddress);
      state = next;
    },
    lost: () => Number(readFileSync(`/sys/class/net/${near}/statistics/tx_dropped`, 'utf8')) + (numbers(`/proc/${far.pid}/net/snmp`)[NO_ROUTES] ?? 0),
  };
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}

function ipAt(far: ChildProcess, ...args: string[]): void {
  execFileSync('nsenter', ['--target', String(far.pid), '--net', 'ip', ...args], { stdio: 'pipe' });
}

async function ended(far: ChildProcess): Promise<void> {
  if (far.exitCode !== null || far.signalCode !== null) return;
  const exit = once(far, 'exit');
  far.kill('SIGKILL');
  await exit;
}
