// Crash points for services to come: lines of a file in the home, each for one start of its service. A service that has died at its point
// comes back with the next one of its lines, or with none.
import { existsSync, readFileSync } from 'node:fs';
import { type Home, writeAtomically } from './home.ts';

export const CRASH_PLAN = 'crash-points';

/** Adds what the user has set, once for this run: a service that comes back is not to die of it again. */
export function planCrash(home: Home, setting: string | undefined): void {
  writePlan(home, setting ? [...readPlan(home), setting] : []);
}

/** The environment that arms the next point of a process, which hosts one service, or all of them. */
export function nextCrash(home: Home, name: string): { MILLRACE_CRASH_POINT?: string } {
  const plan = readPlan(home);
  const next = plan.find((line) => name === 'together' || line.startsWith(`${name}.`));
  if (next === undefined) return {};
  writePlan(home, plan.toSpliced(plan.indexOf(next), 1));
  return { MILLRACE_CRASH_POINT: next };
}

function readPlan(home: Home): string[] {
  const file = home.file(CRASH_PLAN);
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
}

function writePlan(home: Home, lines: string[]): void {
  const file = home.file(CRASH_PLAN);
  if (lines.length > 0 || existsSync(file)) writeAtomically(file, lines.map((line) => `${line}\n`).join(''));
}
