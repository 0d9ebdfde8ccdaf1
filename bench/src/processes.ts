// What processes cost, read from /proc: CPU time by group, memory, and who owns a port.
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** User and system time is counted in ticks; Linux shows 100 a second on every platform that Node runs on. */
const MICROS_PER_TICK = 10_000;

export type Groups = Record<string, number>;
/** CPU microseconds by group; `machine` is all that was not idle, whoever used it. */
export type CpuTimes = Record<string, number>;

/** Groups name a root process; the backends of Postgres belong to their postmaster, those that have ended too. */
export function cpuTimes(groups: Groups): CpuTimes {
  const children = childrenOf(groups.postgres);
  const times = Object.entries(groups).map(([name, pid]) => [name, name === 'postgres' ? sum([ticks(pid, true), ...children.map((child) => ticks(child, false))]) : ticks(pid, false)] as const);
  return { ...Object.fromEntries(times.map(([name, count]) => [name, count * MICROS_PER_TICK])), machine: machineTicks() * MICROS_PER_TICK };
}

export function spent(before: CpuTimes, after: CpuTimes): CpuTimes {
  return Object.fromEntries(Object.entries(after).map(([name, time]) => [name, Math.max(0, time - (before[name] ?? 0))]));
}

/** Megabytes: the proportional share of what is shared, and all that is resident. */
export function memory(pids: number[]): { pss: number; rss: number } {
  const totals = pids.map((pid) => {
    const rss = kilobytes(read(`/proc/${pid}/status`), 'VmRSS');
    // Not readable where the process is another user's: then all of it counts.
    return { rss, pss: kilobytes(read(`/proc/${pid}/smaps_rollup`), 'Pss') || rss };
  });
  return { pss: sum(totals.map(({ pss }) => pss)) / 1024, rss: sum(totals.map(({ rss }) => rss)) / 1024 };
}

/** Whether this process listens on this port. */
export function ownsPort(pid: number, port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const sockets = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => read(file).split('\n').slice(1)).map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === '0A' && fields[1]?.endsWith(`:${hex}`)).map((fields) => `socket:[${fields[9]}]`);
  if (sockets.length === 0) return false;
  try {
    const open = readdirSync(`/proc/${pid}/fd`).map((fd) => link(`/proc/${pid}/fd/${fd}`));
    return sockets.every((socket) => open.includes(socket));
  } catch {
    return false;
  }
}

function ticks(pid: number | undefined, withEndedChildren: boolean): number {
  const fields = statFields(pid);
  return sum(fields.slice(11, withEndedChildren ? 15 : 13).map(Number));
}

function childrenOf(pid: number | undefined): number[] {
  if (pid === undefined) return [];
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((child) => statFields(child)[1] === String(pid));
}

// From the state on: the command's name before it may hold spaces and brackets.
function statFields(pid: number | undefined): string[] {
  const stat = pid === undefined ? '' : read(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function machineTicks(): number {
  const [, ...fields] = (read('/proc/stat').split('\n')[0] ?? '').trim().split(/\s+/);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = fields.map(Number);
  return user + nice + system + irq + softirq;
}

function kilobytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function link(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}

function sum(values: number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
