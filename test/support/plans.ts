// What statements read: by their plans as a service has them, made once a connection and kept however the tables grow.
import type { Database, Queryable, Statement } from '@millrace/chassis/database/db';
import { type ClientBase, escapeLiteral } from 'pg';

/** A node of a plan that reads a table, itself or through an index: `rows` came out of it or were thrown away by it. */
export type Reading = { node: string; table: string; rows: number };

type Node = {
  'Node Type': string; 'Relation Name'?: string; 'Actual Rows'?: number; 'Actual Loops'?: number; 'Rows Removed by Filter'?: number; 'Rows Removed by Index Recheck'?: number; Plans?: Node[];
};

/** Runs `work` and answers its statements; their effects are undone. */
export async function statementsOf(db: Database, work: (on: Queryable) => Promise<unknown>): Promise<Statement[]> {
  const seen: Statement[] = [];
  await undone(db, (client) => work({
    async query<Row>(statement: Statement) {
      seen.push(statement);
      return (await client.query(statement)).rows as Row[];
    },
  }));
  return seen;
}

/** What the kept plan of a statement reads when it runs now; its effects are undone. For a database of one connection, which has run it before. */
export async function readingsOf(db: Database, { name, values }: Statement): Promise<Reading[]> {
  const { rows } = await undone(db, async (client) => {
    const literals: string[] = [];
    for (const value of values) literals.push(value instanceof Buffer ? escapeLiteral(await textOfArray(client, value)) : literal(value));
    const parameters = literals.length > 0 ? `(${literals.join(', ')})` : '';
    return client.query<{ 'QUERY PLAN': [{ Plan: Node }] }>(`EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE "${name}"${parameters}`);
  });
  return rows.flatMap((row) => readings(row['QUERY PLAN'][0].Plan));
}

async function undone<T>(db: Database, work: (client: ClientBase) => Promise<T>): Promise<T> {
  const client = await db.pool.connect();
  try {
    await client.query('BEGIN');
    return await work(client);
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}

function readings(node: Node): Reading[] {
  const below = (node.Plans ?? []).flatMap(readings);
  const table = node['Relation Name'];
  if (table === undefined || !node['Node Type'].includes('Scan')) return below;
  const each = (node['Actual Rows'] ?? 0) + (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0);
  return [{ node: node['Node Type'], table, rows: each * (node['Actual Loops'] ?? 1) }, ...below];
}

/** An array in binary names the type of its elements. */
async function textOfArray(client: ClientBase, array: Buffer): Promise<string> {
  const { rows: [type] } = await client.query<{ name: string }>('SELECT $1::oid::regtype::text AS name', [array.readUInt32BE(8)]);
  const { rows: [read] } = await client.query<{ text: string }>(`SELECT $1::${type?.name}[]::text AS text`, [array]);
  if (read === undefined) throw new Error('Postgres did not read an array');
  return read.text;
}

function literal(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (Array.isArray(value)) return escapeLiteral(`{${value.map((item) => (item === null ? 'NULL' : JSON.stringify(textOf(item)))).join()}}`);
  return escapeLiteral(textOf(value));
}

const textOf = (value: unknown): string => (value instanceof Date ? value.toISOString() : String(value));
