// Arrays in Postgres' binary format (array_recv and the types' own …recv functions in its src/backend/utils/adt). As text every element is
// escaped here and taken apart there, and the pieces were a fifth of what the order service left for the garbage collector.

/** What a column of each type is made of. */
type Values = { text: string; uuid: string; int: number; bigint: bigint; float8: number; boolean: boolean; timestamptz: Date; jsonb: unknown };
type Value<K extends keyof Values> = Values[K] | null | undefined;

/** `write` puts a value at a place of the scratch buffer, and answers where it ends. */
type Type<V> = { /** Of pg_type.dat. */ oid: number; write: (value: V, at: number) => number };

const TYPES: { [K in keyof Values]: Type<Values[K]> } = {
  text: { oid: 25, write: writeText },
  uuid: { oid: 2950, write: writeUuid },
  int: { oid: 23, write: writeInt },
  bigint: { oid: 20, write: (value, at) => withRoom(at, 8).writeBigInt64BE(value, at) },
  float8: { oid: 701, write: (value, at) => withRoom(at, 8).writeDoubleBE(value, at) },
  boolean: { oid: 16, write: (value, at) => withRoom(at, 1).writeUInt8(value ? 1 : 0, at) },
  timestamptz: { oid: 1184, write: writeTime },
  // Its first byte is the version of the format.
  jsonb: { oid: 3802, write: (value, at) => writeText(JSON.stringify(value), withRoom(at, 1).writeUInt8(1, at)) },
};

/** Dimensions, whether there are NULLs, the elements' type; then, for one dimension, its length and where it begins. */
const HEAD_BYTES = 12;
const DIMENSION_BYTES = 8;
const NULL_LENGTH = -1;
const EPOCH_MS = Date.UTC(2000, 0, 1);
const TWO_32 = 2 ** 32;

/** Arrays are written here, and copied when their length is known. Statements of a crowd take less; what a larger one needed is given back. */
const SCRATCH_BYTES = 262_144;
let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/** How a column's values are found in the items of a rowset. Null and undefined are NULL. */
export type Column<T> = { [K in keyof Values]: readonly [type: K, value: (item: T, place: number) => Value<K>] }[keyof Values];

/** A parameter for each column. */
export function arraysOf<T>(columns: readonly Column<T>[], items: readonly T[]): Buffer[] {
  let end = 0;
  const bounds = columns.map((column) => [end, (end = writeArray(column as Column<unknown>, items, end))] as const);
  // One for all: there may be twenty columns, and each buffer is a piece of memory of its own.
  const arrays = Buffer.copyBytesFrom(scratch, 0, end);
  if (scratch.length > SCRATCH_BYTES) scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  return bounds.map(([from, to]) => arrays.subarray(from, to));
}

function writeArray([type, valueOf]: Column<unknown>, items: readonly unknown[], head: number): number {
  const { oid, write } = TYPES[type] as Type<unknown>;
  const dimensions = items.length > 0 ? 1 : 0;
  let nulls = 0;
  let at = head + HEAD_BYTES + dimensions * DIMENSION_BYTES;
  withRoom(head, at - head);
  items.forEach((item, place) => {
    const value = valueOf(item, place);
    const from = at + 4;
    withRoom(at, 4);
    if (value == null) nulls = 1;
    const to = value == null ? from : write(value, from);
    scratch.writeInt32BE(value == null ? NULL_LENGTH : to - from, at);
    at = to;
  });
  scratch.writeInt32BE(dimensions, head);
  scratch.writeInt32BE(nulls, head + 4);
  scratch.writeInt32BE(oid, head + 8);
  if (dimensions === 0) return at;
  scratch.writeInt32BE(items.length, head + HEAD_BYTES);
  scratch.writeInt32BE(1, head + HEAD_BYTES + 4);
  return at;
}

/** The scratch buffer, with so much room behind `at`. */
function withRoom(at: number, bytes: number): Buffer {
  if (at + bytes > scratch.length) {
    const larger = Buffer.allocUnsafeSlow(2 * (at + bytes));
    scratch.copy(larger, 0, 0, at);
    scratch = larger;
  }
  return scratch;
}

function writeText(value: string, at: number): number {
  // Of one UTF-16 unit come three bytes at most.
  return at + withRoom(at, 3 * value.length).write(value, at);
}

function writeUuid(value: string, at: number): number {
  const bytes = withRoom(at, 16).write(value.replaceAll('-', ''), at, 16, 'hex');
  if (bytes !== 16) throw new TypeError(`${value} is no UUID`);
  return at + bytes;
}

function writeInt(value: number, at: number): number {
  if (!Number.isInteger(value)) throw new RangeError(`${value} is no integer`);
  return withRoom(at, 4).writeInt32BE(value, at);
}

function writeTime(value: Date, at: number): number {
  const microseconds = (value.getTime() - EPOCH_MS) * 1_000;
  if (Number.isNaN(microseconds)) throw new RangeError('Invalid time value');
  const high = Math.floor(microseconds / TWO_32);
  return withRoom(at, 8).writeUInt32BE(microseconds - high * TWO_32, scratch.writeInt32BE(high, at));
}
