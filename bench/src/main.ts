// `npm run bench`: measures, checks, and only then says numbers.
import { writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import path from 'node:path';
import { goals } from './goals.ts';
import { type Flags, CASES, USAGE, readFlags } from './flags.ts';
import { plot } from './plot.ts';
import { type Report, toMarkdown, toText } from './report.ts';
import { type Results, runOn } from './run.ts';
import { ROOT, startSystem } from './system.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export async function bench(flags: Flags, say: (line: string) => void): Promise<Report> {
  const begun = Date.now();
  const apart = await runOne(flags, false, say);
  const together = flags.together ? await runOne({ ...flags, cases: flags.cases.filter((name) => name === 'place' || name === 'flash') }, true, say) : undefined;
  const machine = `${availableParallelism()} cores, ${Math.round(totalmem() / 1024 ** 3)} GB of memory, ${process.platform}, Node ${process.versions.node}`;
  return { time: new Date(begun).toISOString(), seconds: Math.round((Date.now() - begun) / 1_000), machine, flags, apart, together, goals: goals(apart, together) };
}

async function runOne(flags: Flags, together: boolean, say: (line: string) => void): Promise<Results> {
  say(together ? 'starting all services in one process' : 'starting the system');
  const system = await startSystem({ together });
  // The system has a process group of its own, and would outlive us.
  const interrupted = (name: NodeJS.Signals) => void system.stop().finally(() => process.exit(name === 'SIGINT' ? 130 : 143));
  for (const name of SIGNALS) process.once(name, interrupted);
  try {
    return await runOn(system, flags, say);
  } finally {
    for (const name of SIGNALS) process.off(name, interrupted);
    await system.stop();
  }
}

async function main(): Promise<void> {
  const flags = readFlags(process.argv.slice(2));
  if (flags === 'help') return void process.stdout.write(`${USAGE}\n`);
  const begun = performance.now();
  const report = await bench(flags, (line) => void process.stderr.write(`${((performance.now() - begun) / 1_000).toFixed(0).padStart(4)} s  ${line}\n`));
  process.stdout.write(toText(report));
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(report, null, 2)}\n`);
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
