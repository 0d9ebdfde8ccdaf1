// `npm run chaos`: breaks a running Millrace on purpose, audits it, and says what held.
import { existsSync, writeFileSync } from 'node:fs';
import { inLanes, jobsOf } from './lanes.ts';
import { readOptions, USAGE, type Options } from './options.ts';
import { merged, written } from './report/merge.ts';
import { line, markdown, passed } from './report/report.ts';
import { stopAll } from './system/systems.ts';

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(args: string[]): Promise<number> {
  let options: Options | 'help';
  try {
    options = readOptions(args);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return 2;
  }
  if (options === 'help') {
    say(USAGE);
    return 0;
  }
  const earlier = options.resume && existsSync(options.json ?? '') ? [options.json as string] : options.merge;
  const { results: all, sabotages } = merged(earlier);
  // A run that failed by itself, or whose fault was never seen, tells nothing and is made again.
  const results = options.resume ? all.filter(({ error, fault }) => error === undefined && fault.count > 0) : all;
  const write = (): void => {
    if (options.json !== undefined) writeFileSync(options.json, written({ results, sabotages }));
    if (options.markdown !== undefined) writeFileSync(options.markdown, markdown(results, sabotages));
  };
  write();
  if (options.merge.length === 0) {
    await inLanes(options, jobsOf(options, { results, sabotages }, say), {
      say,
      ran(result) {
        results.push(result);
        say(line(result));
        write();
      },
      sabotaged(sabotage) {
        sabotages.push(sabotage);
        write();
      },
    });
  }
  const held = passed(results, sabotages);
  say(held ? 'all held' : 'NOT all held');
  return held ? 0 : 1;
}

async function stopped(): Promise<void> {
  say('stopping …');
  await stopAll();
  process.exit(130);
}

if (import.meta.main) {
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => void stopped());
  process.exitCode = await main(process.argv.slice(2));
}
