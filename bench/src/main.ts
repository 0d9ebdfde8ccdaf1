// `npm run bench`: measures, checks, and only then says numbers.
import { writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import path from 'node:path';
import { goals } from './goals.ts';
import { auditFilled, filledText } from './fill/audit-filled.ts';
import { type Case, type Flags, CASES, USAGE, readFlags } from './flags.ts';
import { measureGrowth } from './growth.ts';
import { plot } from './plot.ts';
import { type Report, toMarkdown, toText } from './report.ts';
import { runOn } from './run.ts';
import { soak, soakTable } from './soak.ts';
import { ROOT, type System, startSystem } from './system.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

type Say = (line: string) => void;

export async function bench(flags: Flags, say: Say): Promise<Report> {
  const begun = Date.now();
  const on = (names: readonly Case[], together: boolean) => {
    const cases = flags.cases.filter((name) => names.includes(name));
    return withSystem(together, say, (system) => runOn(system, { ...flags, cases }, say));
  };
  const apart = await on(CASES.filter((name) => name !== 'growth'), false);
  const together = flags.together ? await on(['place', 'flash'], true) : undefined;
  const growth = flags.cases.includes('growth') ? await withSystem(false, say, (system) => measureGrowth(system, flags, say)) : undefined;
  const machine = `${availableParallelism()} cores, ${Math.round(totalmem() / 1024 ** 3)} GB of memory, ${process.platform}, Node ${process.versions.node}`;
  return { time: new Date(begun).toISOString(), seconds: Math.round((Date.now() - begun) / 1_000), machine, flags, apart, together, growth, goals: goals(apart, together, growth) };
}

async function withSystem<T>(together: boolean, say: Say, work: (system: System) => Promise<T>): Promise<T> {
  say(together ? 'starting all services in one process' : 'starting the system');
  const system = await startSystem({ together });
  // The system has a process group of its own, and would outlive us.
  const interrupted = (name: NodeJS.Signals) => void system.stop().finally(() => process.exit(name === 'SIGINT' ? 130 : 143));
  for (const name of SIGNALS) process.once(name, interrupted);
  try {
    return await work(system);
  } finally {
    for (const name of SIGNALS) process.off(name, interrupted);
    await system.stop();
  }
}

async function main(): Promise<void> {
  const flags = readFlags(process.argv.slice(2));
  if (flags === 'help') return void process.stdout.write(`${USAGE}\n`);
  const begun = performance.now();
  const say = (line: string) => void process.stderr.write(`${((performance.now() - begun) / 1_000).toFixed(0).padStart(4)} s  ${line}\n`);
  const keep = (found: unknown) => flags.json !== undefined && writeFileSync(flags.json, `${JSON.stringify(found, null, 2)}\n`);
  const { fill: orders, streams, soakMinutes } = flags;
  if (orders !== undefined) {
    const filled = await withSystem(false, say, (system) => auditFilled(system, { orders, streams }, say));
    process.stdout.write(filledText(filled));
    return void keep(filled);
  }
  if (soakMinutes !== undefined) {
    const looks = await withSystem(false, say, (system) => soak(system, soakMinutes, say));
    process.stdout.write(`${soakTable(looks)}\n`);
    return void keep(looks);
  }
  const report = await bench(flags, say);
  process.stdout.write(toText(report));
  keep(report);
  if (flags.quick || flags.cases.length < CASES.length) return;
  writeFileSync(path.join(ROOT, 'docs/performance.md'), toMarkdown(report));
  writeFileSync(path.join(ROOT, 'docs/performance.svg'), plot(report));
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
}
