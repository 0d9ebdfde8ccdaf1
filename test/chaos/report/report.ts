// The results as tables: experiments, sabotages, known limits.
import { EXPERIMENTS } from '../experiments.ts';
import { FORMS, FORM_TITLES, type Form } from '../form.ts';
import type { Result } from '../run.ts';

export type SabotageResult = { name: string; title: string; caughtBy: string[]; experiments: string[] };

const INVARIANTS = ['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9', 'I10', 'I11', 'I12', 'I13', 'I14', 'I15', 'I16', 'I17', 'I18'];
const INTRODUCTION = `# Chaos: what was broken, and what held

\`npm run chaos -- --experiment E6,E14 --seed 7\` starts the whole system in a throw-away home and breaks it on purpose: real processes through the
launcher, a TCP proxy of our own on the way to Postgres, NATS, inventory and the providers, the sandbox's faults, signals. Meanwhile a load
generator buys, cancels and refunds, and writes every request down before it is sent and after it is answered. When the fault is over, every
request of unknown outcome is asked again with the same request id; when nothing moves any more, the auditor (\`millrace audit\`) computes all
invariants over the five databases, the streams and the provider's records. A fault that was not seen to happen (count 0) is no test.

\`--seeds 20\` repeats all that with 20 seeds, \`--parallel 4\` does so on four systems side by side. Three forms make the same faults: \`--brief\` for many
seeds, \`--short\` to see the way back to normal as well, and without either faults last as long as they are meant to. \`--sabotage all\` runs builds that
are broken on purpose and must be caught. \`--json FILE\` keeps the results, \`--merge docs/chaos.json,FILE,…\` with \`--json docs/chaos.json --markdown docs/chaos.md\` adds them to this page.
\`CHAOS_KEEP=1\` keeps the home of a run that failed, with all logs. What runs with every change is \`test/journey/chaos.int.test.ts\`.

How to read the tables: the count of the fault, then what became of the calls (an unknown outcome is one that the buyer had to ask about again); violations
as \`0 of n\`, over all seeds; how long orders took to where they stay, from the healing or the order, if later; when nothing moved any more; acknowledged
orders per second after the fault against those before it in the same run, and how long after the healing they were back at nine tenths.
`;
const PROMISED_SEEDS = 20;
const LIMITS = [
  "A power cut (E8) takes what the kernel had not yet written from the broker's disk, a file system in an image whose copy is what a disk would have. Postgres keeps its disk: its fsync is taken at its word.",
  'A mail whose acceptance was lost on the wire is looked up before it is sent again; a provider whose search lags for longer than its own promise could still be asked twice.',
  'Blackholes (E30) are made by a proxy that stops reading; real packets are lost between order and inventory (E31, which needs root), and nowhere else.',
  'The edge is one process here: while it is started again nobody listens at the public port. The one repeat that E32 allows waits until the port says that all services are ready, and the next process is stopped when those who met the last restart have been served; two edges behind a balancer would need no wait.',
  'The same seed plans the same accidents; what the machine is doing at that instant is not the same twice. `test/simulation` replays schedules exactly.',
  'Goodput is compared with the seconds before the fault of the same run, on a machine with other work.',
  'Clocks are not turned: the 24 hours of the provider\'s idempotency keys are covered by the sandbox\'s `expire_keys`, not by time.',
  'The broker checks where a client speaks, not where it asks to be answered: whoever has a password can have the server\'s own answers, and copies of events that they may read, put into other streams. They can forge nothing that way: what lacks an event\'s headers ends as a dead letter, and a copy is known by its id.',
  'Traces are not exported, so there are none to search for canaries.',
];

/** The three tables, as Markdown. */
export function markdown(results: readonly Result[], sabotages: readonly SabotageResult[]): string {
  return [
    INTRODUCTION,
    '## Experiments',
    '',
    ...FORMS.flatMap((form) => tableOf(form, results.filter((one) => one.form === form))),
    '## Sabotage',
    '',
    '| sabotage | in | caught by |',
    '|---|---|---|',
    ...sabotages.map(({ name, title, caughtBy, experiments }) => `| ${name}: ${title} | ${experiments.join(', ')} | ${caughtBy.join(', ') || '**nothing**'} |`),
    '',
    '## Known limits',
    '',
    ...[...seedsMissing(results), ...LIMITS].map((limit) => `- ${limit}`),
    '',
  ].join('\n');
}

function tableOf(form: Form, results: readonly Result[]): string[] {
  if (results.length === 0) return [];
  const timed = form !== 'brief';
  const heads = ['experiment', 'fault seen (count)', 'operations', 'acknowledged', 'unknown', 'violations', 'settle p50 / max', 'quiet after', ...(timed ? ['goodput / control', 'back after p50 / max'] : []), 'seeds'];
  const byExperiment = Map.groupBy(results, ({ experiment }) => experiment);
  return [
    `### The ${form} form: ${FORM_TITLES[form]}`,
    '',
    `| ${heads.join(' | ')} |`,
    `|${'---|'.repeat(heads.length)}`,
    ...EXPERIMENTS.map(({ id }) => byExperiment.get(id)).filter((runs) => runs !== undefined).map((runs) => row(runs, timed)),
    '',
  ];
}

/** What these tables do not prove yet: said first. */
function seedsMissing(results: readonly Result[]): string[] {
  const seeds = (id: string): number => new Set(results.filter(({ experiment, error }) => experiment === id && error === undefined).map(({ seed }) => seed)).size;
  const fewer = EXPERIMENTS.map(({ id }) => ({ id, ran: seeds(id) })).filter(({ ran }) => ran < PROMISED_SEEDS);
  const byRan = [...Map.groupBy(fewer, ({ ran }) => ran)].toSorted(([a], [b]) => a - b);
  const told = byRan.map(([ran, some]) => `${ran === 0 ? 'none' : ran} of ${some.map(({ id }) => id).join(', ')}`);
  return told.length === 0 ? [] : [`Promised are ${PROMISED_SEEDS} seeds of each experiment. These tables have fewer: ${told.join('; ')}.`];
}

/** One line for a terminal. */
export function line(result: Result): string {
  const { experiment, seed, fault, operations, acknowledged, unknown, violations, settleMs, quietMs, goodput, tookMs, error } = result;
  const verdict = error === undefined ? (fault.count === 0 ? 'NO TEST' : violations === 0 ? 'ok' : 'VIOLATED') : `FAILED ${error.split('\n')[0]}`;
  const first = result.audit.flatMap((row) => row.first.slice(0, 3).map(({ what, problem }) => `    ${row.invariant} (${row.violations} of ${row.checked}): ${what}: ${problem}`));
  return [
    `${experiment} seed ${seed}: ${verdict}; ${fault.count} ${fault.what}; ${operations} operations, ${acknowledged} ok, ${unknown} unknown; settle ${seconds(settleMs.p50)}/${seconds(settleMs.max)} quiet ${seconds(quietMs)}${goodput ? `; goodput ${goodput.after.toFixed(1)}/${goodput.control.toFixed(1)} per s, back after ${back(goodput.recoverMs)}` : ''}; took ${seconds(tookMs)}`,
    ...first,
  ].join('\n');
}

/** Whether all that was run held. */
export function passed(results: readonly Result[], sabotages: readonly SabotageResult[]): boolean {
  return results.every(({ error, violations, fault }) => error === undefined && violations === 0 && fault.count > 0) && sabotages.every(({ caughtBy }) => caughtBy.length > 0);
}

function row(runs: Result[], timed: boolean): string {
  const [first] = runs as [Result];
  const total = (of: (run: Result) => number): number => runs.reduce((sum, run) => sum + of(run), 0);
  const least = Math.min(...runs.map(({ fault }) => fault.count));
  const failed = runs.filter(({ error }) => error !== undefined);
  return `| ${[
    `${first.experiment} ${first.title}`,
    least === 0 ? `**no test** (${first.fault.what})` : `${total(({ fault }) => fault.count)} ${first.fault.what}`,
    total(({ operations }) => operations), total(({ acknowledged }) => acknowledged), total(({ unknown }) => unknown),
    violations(runs) + (failed.length > 0 ? `; **${failed.length} runs failed**` : ''),
    `${seconds(median(runs.map(({ settleMs }) => settleMs.p50)))} / ${seconds(Math.max(...runs.map(({ settleMs }) => settleMs.max)))}`,
    seconds(Math.max(...runs.map(({ quietMs }) => quietMs))),
    ...(timed ? wayBack(runs) : []),
    seedsOf(runs),
  ].join(' | ')} |`;
}

function wayBack(runs: Result[]): [string, string] {
  const measured = runs.flatMap(({ goodput }) => goodput ?? []);
  if (measured.length === 0) return ['own load', ''];
  const total = (of: (one: NonNullable<Result['goodput']>) => number): number => measured.reduce((sum, one) => sum + of(one), 0);
  const times = measured.map(({ recoverMs = Infinity }) => recoverMs);
  return [`${((100 * total(({ after }) => after)) / total(({ control }) => control)).toFixed(0)} %`, `${back(median(times))} / ${back(Math.max(...times))}`];
}

function violations(runs: Result[]): string {
  const rows = runs.flatMap(({ audit }) => audit);
  return INVARIANTS.flatMap((invariant) => {
    const mine = rows.filter((one) => one.invariant === invariant);
    const checked = mine.reduce((sum, one) => sum + one.checked, 0);
    const bad = mine.reduce((sum, one) => sum + one.violations, 0);
    return checked === 0 ? [] : [bad === 0 ? `${invariant} 0 of ${checked}` : `**${invariant} ${bad} of ${checked}**`];
  }).join(', ');
}

function seedsOf(runs: Result[]): string {
  const seeds = runs.map(({ seed }) => Number(seed)).toSorted((a, b) => a - b);
  return seeds.length === 1 ? String(seeds[0]) : `${seeds[0]} to ${seeds.at(-1)} (${seeds.length})`;
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

function back(ms: number | undefined): string {
  return ms === undefined || ms === Infinity ? '**never**' : seconds(ms);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
