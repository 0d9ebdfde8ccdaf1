// `--fill N`: how long the auditor takes over a system with so many orders, and how much memory.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { openBroker } from '../consumers.ts';
import { memory } from '../processes.ts';
import { ROOT, type System } from '../system.ts';
import { createFiller } from './fill.ts';
import { serveLedgers } from './ledgers.ts';
import { publishOutboxes } from './streams.ts';

export type Filled = { orders: number; fillSeconds: number; published: number; audit: { seconds: number; megabytes: number; exit: number; output: string } };

const LOOK_MS = 100;

export async function auditFilled(system: System, { orders, streams }: { orders: number; streams: boolean }, say: (line: string) => void): Promise<Filled> {
  const broker = await openBroker(system.setupUrl);
  try {
    say('a hundred orders, to every end there is');
    const fill = await createFiller(system, broker, orders);
    say(`copies: ${orders} orders`);
    const begun = performance.now();
    await fill(orders);
    const fillSeconds = (performance.now() - begun) / 1_000;
    if (streams) say('their events');
    const published = streams ? await publishOutboxes(system, broker) : 0;
    say('the ledgers of the providers');
    const ledgers = await serveLedgers(system.runtime.postgres, system.home);
    try {
      say('audit');
      return { orders, fillSeconds, published, audit: await timedAudit(system, ledgers.url, streams) };
    } finally {
      await ledgers.close();
    }
  } finally {
    await broker.close();
  }
}

export function filledText({ orders, fillSeconds, published, audit }: Filled): string {
  return `${audit.output}
${orders.toLocaleString('en')} orders were made in ${Math.round(fillSeconds)} s${published > 0 ? `, ${published.toLocaleString('en')} events published` : ''}.
Their audit took ${audit.seconds.toFixed(1)} s and ${Math.round(audit.megabytes)} MB, and ended with ${audit.exit}.
`;
}

/** The command itself, as somebody would run it. */
async function timedAudit(system: System, sandbox: string, streams: boolean): Promise<Filled['audit']> {
  const file = path.join(system.home, 'filled.json');
  writeFileSync(file, JSON.stringify({ postgres: system.runtime.postgres, sandbox, ...(streams && { nats: system.runtime.nats }) }), { mode: 0o600 });
  const begun = performance.now();
  const child = spawn(process.execPath, ['cli/src/main.ts', 'audit', '--grace', '0s', '--runtime', file], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => void (output += text));
  const ended = new Promise<number>((resolve, reject) => child.once('error', reject).once('close', (code) => resolve(code ?? -1)));
  let [megabytes, exit] = [0, undefined as number | undefined];
  while (exit === undefined) {
    megabytes = Math.max(megabytes, memory([child.pid ?? 0]).rss);
    exit = await Promise.race([ended, setTimeout(LOOK_MS, undefined)]);
  }
  return { seconds: (performance.now() - begun) / 1_000, megabytes, exit, output };
}
