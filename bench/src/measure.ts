// One measurement: a task in the load's process, and what every other process spent on it meanwhile.
import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';
import { SERVICES } from '../../local/src/nats-permissions.ts';
import { type Histogram, median, merge, percentile } from './histogram.ts';
import type { Load } from './load.ts';
import { type CpuTimes, type Groups, cpuTimes, memory, spent } from './processes.ts';
import type { System } from './system.ts';
import type { Task } from './worker.ts';

/** CPU microseconds by process, those of the machine, whoever used them, and the cores that were busy. */
export type Spent = { cpu: CpuTimes; machine: number; busy: number };
export type Sample = { rate: number; done: number; ms: number; latencies: Histogram; refused: Record<string, number> } & Spent;
export type Figure = {
  /** Medians over the rounds. */
  rate: number;
  rates: number[];
  p50: number;
  p99: number;
  p999: number;
  /** CPU microseconds per piece of work, by process. */
  cpu: Record<string, number>;
  /** Cores that were busy, whoever kept them so. */
  busy: number;
  /** Share of the machine's CPU time that went to processes that are none of ours. */
  strangers: number;
  refused: Record<string, number>;
};

/** CPU microseconds per piece of work, by process, and the cores that were busy meanwhile. */
export type Use = Pick<Figure, 'cpu' | 'busy'>;

export type Loader = { pid: number; run<R>(task: Task): Promise<R>; end(): void };

export function startLoader(): Loader {
  const child: ChildProcess = fork(path.join(import.meta.dirname, 'worker.ts'), { execArgv: [] });
  const { pid } = child;
  if (pid === undefined) throw new Error('the load process did not start');
  return {
    pid,
    run: <R>(task: Task) =>
      new Promise<R>((resolve, reject) => {
        const onExit = (code: number | null) => reject(new Error(`the load process ended with ${code}`));
        child.once('exit', onExit);
        child.once('message', (answer: { result: R } | { error: string }) => {
          child.off('exit', onExit);
          if ('error' in answer) reject(new Error(answer.error));
          else resolve(answer.result);
        });
        child.send(task);
      }),
    end: () => child.disconnect(),
  };
}

export async function measure(system: System, loader: Loader, task: Task): Promise<Sample> {
  const used = startUse(system, loader);
  const { done, ms, latencies, refused } = await loader.run<Load>(task);
  return { rate: (done / ms) * 1_000, done, ms, latencies, refused, ...used() };
}

export function figure(samples: Sample[]): Figure {
  const over = (of: (sample: Sample) => number) => median(samples.map(of));
  const refused: Record<string, number> = {};
  for (const sample of samples) for (const [code, count] of Object.entries(sample.refused)) refused[code] = (refused[code] ?? 0) + count;
  const latencies = merge(samples.map((sample) => sample.latencies));
  const uses = samples.map((sample) => each(sample, sample.done));
  const strangers = over(({ cpu, machine }) => {
    const known = Object.values(cpu).reduce((sum, time) => sum + time, 0);
    return machine === 0 ? 0 : Math.max(0, machine - known) / machine;
  });
  return {
    rate: over(({ rate }) => rate),
    rates: samples.map(({ rate }) => rate),
    // Percentiles of each round and their median: one disturbed round must not make the tail of all.
    p50: over((sample) => percentile(sample.latencies, 0.5)),
    p99: over((sample) => percentile(sample.latencies, 0.99)),
    p999: percentile(latencies, 0.999),
    cpu: Object.fromEntries(Object.keys(uses[0]?.cpu ?? {}).map((name) => [name, median(uses.map(({ cpu }) => cpu[name] ?? 0))])),
    busy: over(({ busy }) => busy),
    strangers,
    refused,
  };
}

/** Answers what has been spent since. */
export function startUse(system: System, loader: Loader): () => Spent {
  const groups = groupsOf(system, loader);
  const [before, begun] = [cpuTimes(groups), performance.now()];
  return () => {
    const { machine = 0, ...cpu } = spent(before, cpuTimes(groups));
    return { cpu, machine, busy: machine / (performance.now() - begun) / 1_000 };
  };
}

/** The same for each of `done` pieces of work. */
export function each({ cpu, busy }: Spent, done: number): Use {
  return { cpu: Object.fromEntries(Object.entries(cpu).map(([name, time]) => [name, time / Math.max(1, done)])), busy };
}

/** Megabytes of the services and the edge. */
export function weigh(system: System, loader: Loader): { pss: number; rss: number } {
  const groups = groupsOf(system, loader);
  return memory([...SERVICES, 'together', 'edge'].flatMap((name) => groups[name] ?? []));
}

export function groupsOf(system: System, loader: Pick<Loader, 'pid'>): Groups {
  const { together, launcher, ...pids } = system.runtime.pids;
  const names = ['edge', 'sandbox', 'nats', 'postgres', ...(together === undefined ? SERVICES : [])];
  const ours = Object.fromEntries(Object.entries(pids).filter(([name]) => names.includes(name)));
  return { ...ours, ...(together === undefined ? {} : { together }), ...(launcher === undefined ? {} : { launcher }), bench: process.pid, client: loader.pid };
}

/** The processes that take the order, without the edge, the broker and the providers. */
export function serviceAndDatabase({ cpu }: Figure): number {
  return [...SERVICES, 'together', 'postgres'].reduce((sum, name) => sum + (cpu[name] ?? 0), 0);
}
