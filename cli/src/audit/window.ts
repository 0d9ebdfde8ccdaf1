// What of the records is looked at: a beginning, and how young something may be to be still on its way.
import type { Database } from './database.ts';
import type { ProviderAddress } from './provider.ts';
import type { Service, Source } from './report.ts';

export type Window = {
  since: Date | undefined;
  /** What changed within it is in motion: what others say of it is not held against it. 0 when nothing moves any more. */
  graceMs: number;
  /** How long after its deadline something may still be found waiting. */
  toleranceMs: number;
  /** By our own clock. */
  start: Date;
  /** What a ledger has from here on is in motion. Moments as the ledgers write them compare as text. */
  youngFrom: string;
};

/** What a family of checks reads. A source that turned out to be away is not in `have`. */
export type World = {
  window: Window;
  databases: Record<Service, Database>;
  provider: ProviderAddress | undefined;
  sandbox: string | undefined;
  nats: string | undefined;
  journal: string | undefined;
  have: ReadonlySet<Source>;
};

/** $1: grace in milliseconds, $2: since. For every statement, so that each has the same first parameters. */
export function windowValues({ graceMs, since }: Window): [number, string] {
  return [graceMs, since?.toISOString() ?? '-infinity'];
}

/** Whether a column's time is within the grace, by the database's clock. The subselect is worked out once, not for every row. */
export const young = (column: string): string => `(${column} >= (SELECT CASE WHEN $1::float8 > 0 THEN now() - $1::float8 * interval '1 ms' ELSE 'infinity' END))`;

/** Since when an outbox holds every event: it keeps its rows seven days, and of what began before, the first ones may be gone. */
export const OUTBOX_SINCE = `(SELECT greatest($2::timestamptz, now() - interval '7 days' + interval '1 hour'))`;

export function createWindow({ since, graceMs, toleranceMs }: Pick<Window, 'since' | 'graceMs' | 'toleranceMs'>): Window {
  const start = new Date();
  return { since, graceMs, toleranceMs, start, youngFrom: graceMs > 0 ? new Date(start.getTime() - graceMs).toISOString() : NEVER };
}
/** After every moment. */
const NEVER = '~';

export const isYoung = (time: string, { youngFrom }: Window): boolean => time >= youngFrom;
