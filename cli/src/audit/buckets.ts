// What belongs together, brought together by Postgres without sorting: rows with the same hash of their key are in one of 256 buckets, and a
// bucket is small enough to be taken apart here.
import type { Database, Moment } from './database.ts';
import { type Hash, signed } from './text-hash.ts';

/** Postgres holds the buckets until it has read all rows: of more rows it is asked in slices, each with a part of the buckets. About 200 MB. */
const ROWS_AT_A_TIME = 3_000_000;
const BUCKETS = 256;
/** Offenders that are looked up by name. */
const MAX_NAMED = 10;

/** `rows`: a statement whose column `hash` is of the key; `packed`: what is kept of a row, its hash first; `tables`: what it reads. */
export type Bucketed = { rows: string; packed: string; tables: string[] };

/** Answers the bytes of each bucket that has any. */
export async function* buckets({ ask, packed: read }: Moment, { rows, packed, tables }: Bucketed, values: (string | number)[]): AsyncGenerator<Buffer> {
  const [[expected] = []] = await ask(EXPECTED, [tables]);
  const slices = Math.min(BUCKETS, Math.max(1, Math.ceil(Number(expected) / ROWS_AT_A_TIME)));
  for (let slice = 0; slice < slices; slice += 1) {
    const [from, to] = [slice, slice + 1].map((n) => Math.floor((BUCKETS * n) / slices)) as [number, number];
    const some = slices === 1 ? '' : `WHERE hash & ${BUCKETS - 1} >= ${from} AND hash & ${BUCKETS - 1} < ${to}`;
    for await (const [bucket] of read(`SELECT string_agg(${packed}, ''::bytea) FROM (${rows}) rows ${some} GROUP BY hash & ${BUCKETS - 1}`, values)) if (bucket) yield bucket;
  }
}
// A table that was never analyzed is taken for one of narrow rows.
const EXPECTED = `SELECT sum(CASE WHEN reltuples < 0 THEN pg_relation_size(oid) / 100 ELSE reltuples END) FROM pg_class WHERE oid = ANY($1::text[]::regclass[])`;

/** The hash of an order's id in a statement. */
export const HASH_OF_ORDER = 'hashtextextended(order_id, 0)';

/** Calls `each` for every hash in a bucket with the places of its rows, which are `bytes` long and begin with it. The list is used again. */
export function eachKey(bucket: Buffer, bytes: number, each: (places: number[]) => void): void {
  const rows = bucket.length / bytes;
  const room = 2 ** Math.ceil(Math.log2(rows + 1) + 1);
  // The rows of one hash are a chain: the last one is in the table, each knows the one before. 0 is none.
  const [last, before] = [new Int32Array(room), new Int32Array(rows + 1)];
  for (let row = 1; row <= rows; row += 1) {
    const at = (row - 1) * bytes;
    let slot = bucket.readUInt32LE(at) & (room - 1);
    for (; last[slot] !== 0 && !isSame(bucket, ((last[slot] as number) - 1) * bytes, at); slot = (slot + 1) & (room - 1));
    before[row] = last[slot] as number;
    last[slot] = row;
  }
  const places: number[] = [];
  for (const end of last) {
    if (end === 0) continue;
    places.length = 0;
    for (let row = end; row !== 0; row = before[row] as number) places.push((row - 1) * bytes);
    each(places.reverse());
  }
}

/** Whether the hashes at two places are the same. */
export function isSame(bucket: Buffer, one: number, other: number): boolean {
  return bucket.readInt32LE(one) === bucket.readInt32LE(other) && bucket.readInt32LE(one + 4) === bucket.readInt32LE(other + 4);
}

/** The hash at the beginning of a row. */
export function hashAt(bucket: Buffer, at: number): Hash {
  return { high: bucket.readUInt32BE(at), low: bucket.readUInt32BE(at + 4) };
}

/** The ids of a few orders. */
export async function orderNames(database: Database, table: string, hashes: Hash[]): Promise<(hash: Hash) => string> {
  const wanted = hashes.slice(0, MAX_NAMED).map((hash) => String(signed(hash)));
  const found = wanted.length === 0 ? [] : await database.few(`SELECT DISTINCT ${HASH_OF_ORDER}, order_id FROM ${table} WHERE ${HASH_OF_ORDER} = ANY($1::bigint[])`, [wanted]);
  const names = new Map(found.map(([hash, orderId]) => [hash, orderId]));
  return (hash) => names.get(String(signed(hash))) ?? '…';
}
