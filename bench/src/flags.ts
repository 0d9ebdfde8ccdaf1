// What can be asked for on the command line.
import { parseArgs } from 'node:util';

export const CASES = ['place', 'open', 'flash', 'baskets', 'reads', 'journey', 'drain', 'import', 'growth'] as const;
export type Case = (typeof CASES)[number];
export type Flags = { quick: boolean; together: boolean; cases: Case[]; rounds: number; json: string | undefined; journeySeconds: number; fill: number | undefined; streams: boolean; soakMinutes: number | undefined };

/** Journeys that are to be reached in a second, and those that are placed evenly: a few more, because not all that begins in a time ends in it. */
export const WANTED_JOURNEYS = 400;
export const SUSTAINED = WANTED_JOURNEYS + 2;

export const USAGE = `npm run bench [-- flags]    measures a system of its own; writes docs/performance.md (a --quick run or a choice of cases only prints)
  --quick               a first impression in two minutes
  --case NAME           only this one; may be repeated: ${CASES.join(', ')}
  --together            measures all services in one process too
  --rounds N            alternating rounds (5; with --quick 2)
  --journey SECONDS     how long whole journeys are placed evenly, ${SUSTAINED} a second (60; with --quick 8)
  --json FILE           everything measured, as JSON
  --fill N [--streams]  instead: a system with N finished orders (and their events in the streams), and how long its audit takes
  --soak [MINUTES]      instead: steady journeys (30 minutes), and what becomes of tables and memory

growth fills the tables with a million orders and takes long: a quick run leaves it out unless it is named.`;

/** Filling is hundreds of copies of a hundred orders each. */
const MAX_FILL = 5_000_000;
const SOAK_MINUTES = '30';
const MAX_SOAK_MINUTES = 24 * 60;

const MAX_ROUNDS = 100;
const MAX_JOURNEY_SECONDS = 3_600;

export function readFlags(given: string[]): Flags | 'help' {
  // The only flag whose value may be left out.
  const args = given.flatMap((arg, i) => (arg === '--soak' && !/^\d/.test(given[i + 1] ?? '') ? [arg, SOAK_MINUTES] : [arg]));
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      together: { type: 'boolean', default: false },
      case: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      journey: { type: 'string' },
      json: { type: 'string' },
      fill: { type: 'string' },
      streams: { type: 'boolean', default: false },
      soak: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const unknown = values.case.filter((name) => !(CASES as readonly string[]).includes(name));
  if (unknown.length > 0) throw new Error(`there is no case ${unknown.join(', ')}; there are ${CASES.join(', ')}`);
  const cases = CASES.filter((name) => (values.case.length === 0 ? !values.quick || name !== 'growth' : values.case.includes(name)));
  const rounds = whole('--rounds', values.rounds ?? (values.quick ? '2' : '5'), MAX_ROUNDS);
  const journeySeconds = whole('--journey', values.journey ?? (values.quick ? '8' : '60'), MAX_JOURNEY_SECONDS);
  if (values.streams && values.fill === undefined) throw new Error('--streams needs --fill');
  if (values.fill !== undefined && values.soak !== undefined) throw new Error('--fill and --soak are two runs');
  const fill = values.fill === undefined ? undefined : whole('--fill', values.fill, MAX_FILL);
  const soakMinutes = values.soak === undefined ? undefined : whole('--soak', values.soak, MAX_SOAK_MINUTES);
  return { quick: values.quick, together: values.together, cases, rounds, json: values.json, journeySeconds, fill, streams: values.streams, soakMinutes };
}

function whole(name: string, text: string, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > max) throw new Error(`${name} wants a whole number from 1 to ${max}, not "${text}"`);
  return value;
}
