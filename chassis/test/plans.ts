// How Postgres would run every statement that some code sends: recorded while the code runs, explained when the tables are large.
import pg from 'pg';
import { createCopy } from '../../test/support/copies.ts';
import type { Database } from '../src/database/db.ts';

export type Recording = { statements: Set<string>; stop: () => void };

/** Every statement that this process sends from now on. */
export function recordStatements(): Recording {
  const statements = new Set<string>();
  const prototype = pg.Client.prototype as unknown as { query: (this: unknown, ...args: unknown[]) => unknown };
  const { query } = prototype;
  prototype.query = function recorded(...args) {
    const text = typeof args[0] === 'string' ? args[0] : (args[0] as { text?: string }).text;
    if (text !== undefined) statements.add(text);
    return query.apply(this, args);
  };
  return { statements, stop: () => void (prototype.query = query) };
}

/** Copies of every row that there is: statements are to be explained on tables of a size that an index is worth its while. */
export async function enlarge(url: string, copies: number): Promise<void> {
  const copy = await createCopy(url, copies);
  await copy(0, copies);
}

type Plan = { 'Node Type': string; 'Relation Name'?: string; 'Index Name'?: string; 'Index Cond'?: string; Plans?: Plan[] };

/** Statements that would look at every row of one of these tables. */
export async function scansOf(db: Database, statements: ReadonlySet<string>, tables: readonly string[]): Promise<string[]> {
  const small = await db.pool.query<{ name: string }>('SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indpred IS NOT NULL');
  const partial = new Set(small.rows.map(({ name }) => name));
  const found: string[] = [];
  for (const text of statements) {
    if (!/^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b/i.test(text)) continue;
    for (const problem of scansIn(await planOf(db, text), tables, partial)) found.push(`${problem}: ${text.replaceAll(/\s+/g, ' ').trim()}`);
  }
  return found;
}

// As the service's own connections plan it: for any values, scans priced out.
async function planOf(db: Database, text: string): Promise<Plan> {
  const { rows } = await db.pool.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`EXPLAIN (GENERIC_PLAN, FORMAT JSON) ${text}`);
  return (rows[0] as (typeof rows)[0])['QUERY PLAN'][0].Plan;
}

/** `limited`: whoever is above takes the first rows and no more. An index that holds only a few rows may be read whole. */
function scansIn(plan: Plan, tables: readonly string[], partial: ReadonlySet<string>, limited = false): string[] {
  const { 'Node Type': type, 'Relation Name': table = '', 'Index Name': index = '', Plans: below = [] } = plan;
  const unbounded = /^(Index|Bitmap Index)/.test(type) && plan['Index Cond'] === undefined && !partial.has(index) && !limited;
  const whole = type === 'Seq Scan' ? tables.includes(table) : unbounded && (table === '' || tables.includes(table));
  const limitedBelow = type === 'Limit' || (limited && !/Sort|Aggregate|Hash|Group|Unique/.test(type));
  return [...(whole ? [`${type} of ${table || index}`] : []), ...below.flatMap((one) => scansIn(one, tables, partial, limitedBelow))];
}
