// What belongs together, brought together by Postgres without sorting: rows with the same hash of their key are in the same of a thousand
// buckets, and a bucket is small enough to be taken apart here.
import type { Database, Moment } from './database.ts';

/** Postgres holds the buckets, with room to grow, until it has read all rows. Of more it is asked in slices, each with a part of the buckets, and reads everything for each. */
const BYTES_AT_A_TIME = 200_000_000;
export const BUCKETS = 1_024;
/** Looked up at a time. */
const MAX_TAGS = 200;

/** `rows`: a statement whose column `hash` is of the key; `packed`: what is kept of a row, its hash first, and how many bytes that are; `tables`: what it reads. */
export type Bucketed = { rows: string; packed: string; bytes: number; tables: string[] };

/** Answers the number and the bytes of each bucket that has any, by number. */
export async function* buckets(database: Pick<Moment, 'expectedRows' | 'packed'>, { rows, packed, bytes, tables }: Bucketed, values: (string | number)[]): AsyncGenerator<{ bucket: number; bytes: Buffer }> {
  const slices = Math.min(BUCKETS, Math.max(1, Math.ceil(((await database.expectedRows(tables)) * bytes) / BYTES_AT_A_TIME)));
  for (let slice = 0; slice < slices; slice += 1) {
    const [from, to] = [slice, slice + 1].map((n) => Math.floor((BUCKETS * n) / slices)) as [number, number];
    const some = slices === 1 ? '' : `WHERE hash & ${BUCKETS - 1} >= ${from} AND hash & ${BUCKETS - 1} < ${to}`;
    // OFFSET keeps the planner from guessing how many buckets there will be: it would sort.
    for await (const [bucket, gathered] of database.packed(`SELECT (hash & ${BUCKETS - 1})::int, string_agg(${packed}, ''::bytea) FROM (${rows} OFFSET 0) rows ${some} GROUP BY 1 ORDER BY 1`, values)) {
      if (bucket && gathered) yield { bucket: bucket.readInt32BE(), bytes: gathered };
    }
  }
}

/** The hash of an order's id in a statement. */
export const HASH_OF_ORDER = 'hashtextextended(order_id, 0)';

/** In a statement: two numbers of four bytes as eight. */
export const two = (high: string, low: string): string => `int8send(((${high})::bigint << 32) | ((${low})::bigint & 4294967295))`;

/** Rows of so many bytes, up to an end; each begins with its hash. */
export type Part = { bytes: number; end: number };

/** Calls `each` for every hash in a bucket with the places of its rows, ascending. The list is used again. */
export function eachKey(bucket: Buffer, parts: Part[], each: (places: number[]) => void): void {
  const rows = new Uint32Array(parts.reduce((sum, { bytes, end }, i) => sum + (end - (parts[i - 1]?.end ?? 0)) / bytes, 1));
  let count = 0;
  for (const [i, { bytes, end }] of parts.entries()) for (let at = parts[i - 1]?.end ?? 0; at < end; at += bytes) rows[(count += 1)] = at;
  // The rows of one hash are a chain: the last one is in the table, each knows the one before. 0 is none.
  const room = 2 ** Math.ceil(Math.log2(count + 1) + 1);
  const [last, before] = [new Uint32Array(room), new Uint32Array(count + 1)];
  for (let row = 1; row <= count; row += 1) {
    const at = rows[row] as number;
    let slot = bucket.readUInt32BE(at) & (room - 1);
    for (; last[slot] !== 0 && !isSame(bucket, rows[last[slot] as number] as number, at); slot = (slot + 1) & (room - 1));
    before[row] = last[slot] as number;
    last[slot] = row;
  }
  const places: number[] = [];
  for (const end of last) {
    if (end === 0) continue;
    places.length = 0;
    for (let row = end; row !== 0; row = before[row] as number) places.push(rows[row] as number);
    each(places.reverse());
  }
}

/** Whether the hashes at two places are the same. */
export function isSame(bucket: Buffer, one: number, other: number): boolean {
  return bucket.readInt32LE(one) === bucket.readInt32LE(other) && bucket.readInt32LE(one + 4) === bucket.readInt32LE(other + 4);
}

/** How something is told of which only the hash is known, until it is named. */
export function tagAt(bucket: Buffer, at: number): string {
  return `#${bucket.toString('hex', at, at + 8)}`;
}

/** The texts of a column that have one of a few hashes, each under its tag. */
export async function namesOf(database: Database, table: string, column: string, tags: Iterable<string>): Promise<Map<string, string>> {
  const hashes = [...tags].slice(0, MAX_TAGS).map((tag) => String(BigInt.asIntN(64, BigInt(`0x${tag.slice(1)}`))));
  if (hashes.length === 0) return new Map();
  const found = await database.few(`SELECT DISTINCT encode(int8send(hashtextextended(${column}, 0)), 'hex'), ${column} FROM ${table} WHERE hashtextextended(${column}, 0) = ANY($1::bigint[])`, [hashes]);
  return new Map(found.map(([hash, text]) => [`#${hash}`, text ?? '']));
}
