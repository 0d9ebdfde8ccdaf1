// What can be asked for on the command line.
import { parseArgs } from 'node:util';

export const CASES = ['place', 'open', 'flash', 'baskets', 'reads', 'journey', 'drain', 'import'] as const;
export type Case = (typeof CASES)[number];
export type Flags = { quick: boolean; together: boolean; cases: Case[]; rounds: number; json: string | undefined; journeySeconds: number };

export const USAGE = `npm run bench [-- flags]    measures a system of its own; writes docs/performance.md (a --quick run or a choice of cases only prints)
  --quick               a first impression in two minutes
  --case NAME           only this one; may be repeated: ${CASES.join(', ')}
  --together            measures all services in one process too
  --rounds N            alternating rounds (5; with --quick 2)
  --journey SECONDS     how long whole journeys are sustained (60; with --quick 8)
  --json FILE           everything measured, as JSON`;

const MAX_ROUNDS = 100;
const MAX_JOURNEY_SECONDS = 3_600;

export function readFlags(args: string[]): Flags | 'help' {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      together: { type: 'boolean', default: false },
      case: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      journey: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const unknown = values.case.filter((name) => !(CASES as readonly string[]).includes(name));
  if (unknown.length > 0) throw new Error(`there is no case ${unknown.join(', ')}; there are ${CASES.join(', ')}`);
  const cases = CASES.filter((name) => values.case.length === 0 || values.case.includes(name));
  const rounds = whole('--rounds', values.rounds ?? (values.quick ? '2' : '5'), MAX_ROUNDS);
  const journeySeconds = whole('--journey', values.journey ?? (values.quick ? '8' : '60'), MAX_JOURNEY_SECONDS);
  return { quick: values.quick, together: values.together, cases, rounds, json: values.json, journeySeconds };
}

function whole(name: string, text: string, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > max) throw new Error(`${name} wants a whole number from 1 to ${max}, not "${text}"`);
  return value;
}
