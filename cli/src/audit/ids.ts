// Sets of event ids, millions of them: the last eight bytes of each in one sorted array. They hold 62 random bits (the first hold the time), so
// that among ten million ids the odds are a hundred thousandth that two look alike. Outside of this file such an id is its sixteen hexadecimal digits.

/** Sorted by whatever order the machine gives eight bytes; twice the same id stays twice. */
export type Ids = { count: number; words: Uint32Array };

const BYTES = 8;
/** Of a whole one. */
export const UUID_BYTES = 16;
/** The same eight bytes of a row's `event_id`, in SQL. */
export const ID_OF_ROW = 'substring(uuid_send(event_id) FROM 9)';

/** Collects ids into a sorted array. `expected`: about how many. */
export function createIdCollector(expected = 0) {
  let words = new Uint32Array(2 * (expected + 1_024));
  let count = 0;
  const grow = (wanted: number) => {
    if (wanted * 2 <= words.length) return;
    const larger = new Uint32Array(Math.max(wanted * 2, words.length * 2));
    larger.set(words.subarray(0, count * 2));
    words = larger;
  };
  const add = (bytes: Buffer, at: number) => {
    grow(count + 1);
    words[2 * count] = bytes.readUInt32LE(at);
    words[2 * count + 1] = bytes.readUInt32LE(at + 4);
    count += 1;
  };
  /** Of pieces of so many bytes the last eight. */
  const addEach = (bytes: Buffer, length: number) => {
    grow(count + Math.floor(bytes.length / length));
    for (let at = length - BYTES; at < bytes.length; at += length) add(bytes, at);
  };
  return {
    /** The UUID that begins there. */
    addUuid(bytes: Buffer, at: number): void {
      add(bytes, at + UUID_BYTES - BYTES);
    },
    /** Many, one after the other. */
    addUuids(bytes: Buffer): void {
      addEach(bytes, UUID_BYTES);
    },
    /** What has eight bytes of its own that are as good as random. */
    addHashes(bytes: Buffer): void {
      addEach(bytes, BYTES);
    },
    addText(uuid: string): void {
      add(Buffer.from(idOf(uuid), 'hex'), 0);
    },
    sorted(): Ids {
      new BigUint64Array(words.buffer, 0, count).sort();
      return { count, words: words.subarray(0, count * 2) };
    },
  };
}

const NONE = '0'.repeat(2 * BYTES);

/** All zeros when it is no UUID. */
export function idOf(uuid: string): string {
  const digits = uuid.slice(19, 23) + uuid.slice(24);
  return uuid.length === 36 && /^[0-9a-f]{16}$/i.test(digits) ? digits.toLowerCase() : NONE;
}

/** As the end of a UUID is written. */
export function endOf(id: string): string {
  return `${id.slice(0, 4)}-${id.slice(4)}`;
}

export function listOf(ids: Ids): string[] {
  return Array.from({ length: ids.count }, (_, i) => digits(ids, i));
}

/** Whether this one is among them. */
export function has(ids: Ids, id: string): boolean {
  const one = Buffer.from(id, 'hex');
  const wanted = { count: 1, words: new Uint32Array(new Uint8Array(one).buffer) };
  let [low, high] = [0, ids.count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare(ids, middle, wanted, 0) < 0) low = middle + 1;
    else high = middle;
  }
  return low < ids.count && compare(ids, low, wanted, 0) === 0;
}

/** Those of `some` that are not in `all`. */
export function missing(some: Ids, all: Ids): string[] {
  const lost: string[] = [];
  let j = 0;
  for (let i = 0; i < some.count; i += 1) {
    while (j < all.count && compare(all, j, some, i) < 0) j += 1;
    if (j >= all.count || compare(all, j, some, i) !== 0) lost.push(digits(some, i));
  }
  return lost;
}

/** Those that are there more than once. */
export function repeated(ids: Ids): Set<string> {
  const twice = new Set<string>();
  for (let i = 1; i < ids.count; i += 1) if (compare(ids, i, ids, i - 1) === 0) twice.add(digits(ids, i));
  return twice;
}

// The higher half of eight bytes is the later one: machines that Node runs on are little-endian.
function compare(a: Ids, i: number, b: Ids, j: number): number {
  return (a.words[2 * i + 1] as number) - (b.words[2 * j + 1] as number) || (a.words[2 * i] as number) - (b.words[2 * j] as number);
}

function digits({ words }: Ids, i: number): string {
  return Buffer.from(words.buffer, words.byteOffset + i * BYTES, BYTES).toString('hex');
}
