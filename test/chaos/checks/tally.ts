// Counts what was looked at, and keeps what was wrong with it: a row of the report.
import type { AuditRow } from './audit.ts';

export type Tally = {
  /** One look; `problem` is what was wrong, if anything was. */
  look(what: string, problem: string | undefined): void;
  checked(): number;
  row(): AuditRow;
};

/** Violations that a row shows; it counts them all. */
const SHOWN = 10;

export function tally(invariant: string): Tally {
  let checked = 0;
  const wrong: { what: string; problem: string }[] = [];
  return {
    look(what, problem) {
      checked += 1;
      if (problem !== undefined) wrong.push({ what, problem });
    },
    checked: () => checked,
    row: () => ({ invariant, checked, violations: wrong.length, first: wrong.slice(0, SHOWN) }),
  };
}
