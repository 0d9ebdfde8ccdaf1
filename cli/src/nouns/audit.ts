// millrace audit: the invariants over all databases, the provider's records and the streams.
import { setFlagsFromString } from 'node:v8';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { Report, Sources } from '../audit/audit.ts';
import { type Call, type Noun, TEXT, UsageError, expectArgs } from '../command.ts';
import { readRuntimeFile } from '../connection.ts';
import { EXIT } from '../problems.ts';
import { readTime } from '../values.ts';

/**
 * An audit stands beside five services. What lives long of it is numbers outside of V8's heap; the rest is garbage, for which V8 would take
 * a hundred megabytes: its young generation is to stay as it begins, and the whole to double at most before it is cleared.
 */
const HEAP_FLAGS = ['--semi-space-growth-factor=1', '--heap-growing-percent=100'];

const OPTIONS = { since: TEXT, grace: TEXT, tolerance: TEXT, journal: TEXT, runtime: TEXT } as const;

export const audit: Noun = {
  about: 'whether all promises were kept',
  verbs: {
    '': {
      usage: '[--since TIME] [--grace 30s] [--tolerance 60s] [--journal FILE] [--runtime FILE]',
      about: `Computes the invariants I1 to I14 over the five databases, the provider's records and the streams.
      --since      leaves out orders and events before it
      --grace      what changed so lately may still be on its way and is not judged; 0s when nothing moves any more
      --tolerance  how long after its deadline something may still be waiting
      --journal    JSON lines {request_id, sent_at, outcome: ok|fail|unknown, order_id} of whoever placed the orders
      --runtime    a file as the launcher's runtime.json, for a Millrace that runs elsewhere; with STRIPE_SECRET_KEY set, the real Stripe is asked
      Exit codes: 0 no violation, 1 violations, 2 wrong usage, 3 a source was away and the rest has no violation`,
      options: OPTIONS,
      run,
    },
  },
};

async function run(call: Call): Promise<number> {
  expectArgs(call);
  const since = call.flags.text('since');
  const options = {
    since: since === undefined ? undefined : timestampDate(readTime(since, '--since')),
    graceMs: readDuration(call, 'grace'),
    toleranceMs: readDuration(call, 'tolerance'),
  };
  const sources = sourcesOf(call);
  for (const flag of HEAP_FLAGS) setFlagsFromString(flag);
  // Databases and streams: nothing that the other verbs should load.
  const { audit: runAudit } = await import('../audit/audit.ts');
  const report = await runAudit(sources, options);
  if (call.out.json) call.out.line(JSON.stringify(report, undefined, 2));
  else show(call, report);
  return report.violations > 0 ? EXIT.refused : report.away.length > 0 ? EXIT.unreachable : EXIT.ok;
}

type RuntimeFile = { postgres?: Sources['postgres']; nats?: string; sandbox?: string };

function sourcesOf(call: Call): Sources {
  const { file, content } = readRuntimeFile(call.env, call.flags.text('runtime'));
  if (!content) throw new UsageError(`Millrace is not running here: there is no ${file}. Start it with npm start, or name its runtime.json with --runtime.`);
  const { postgres = {}, nats, sandbox } = content as RuntimeFile;
  const secretKey = call.env['STRIPE_SECRET_KEY'];
  const stripe = secretKey ? { secretKey, apiBase: call.env['STRIPE_API_BASE'] || undefined } : undefined;
  return { postgres, nats, sandbox, stripe, journal: call.flags.text('journal') };
}

function readDuration(call: Call, name: string): number | undefined {
  const text = call.flags.text(name);
  if (text === undefined) return undefined;
  const found = /^(\d{1,6})(ms|s|m|h)$/.exec(text);
  if (!found) throw new UsageError(`--${name} must be a duration such as 30s or 5m, not "${text}"`);
  return Number(found[1]) * ({ ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[found[2] as 'ms'] ?? 0);
}

function show({ out }: Call, { rows, away, violations, tookMs }: Report): void {
  out.table(['', 'INVARIANT', 'CHECKED', 'VIOLATIONS', ''], rows.map((row) => [row.invariant, row.title, row.checked, row.violations, row.without.length > 0 ? `without ${row.without.join(', ')}` : '']));
  for (const { invariant, first, violations: found } of rows.filter((row) => row.first.length > 0)) {
    out.line('');
    for (const { what, problem } of first) out.line(`${invariant}  ${what}: ${problem}`);
    if (found > first.length) out.line(`${invariant}  … ${found} in all`);
  }
  out.line('');
  for (const { invariant, notes } of rows) for (const note of notes) out.line(`${invariant}: ${note}.`);
  for (const { source, error } of away) out.line(`Could not be read: ${source} (${error}).`);
  out.line(`${violations === 0 ? 'No violation' : `${violations} violations`} found in ${(tookMs / 1_000).toFixed(1)} s.`);
}
