// Sets of event ids, millions of them: the first eight bytes of each in one sorted array. They hold 60 random bits, so that among
// ten million ids the odds are a millionth that two look alike.

export type Ids = BigUint64Array;

/** Collects ids, as hexadecimal text of eight bytes each, into a sorted array; twice the same id stays twice. */
export function createIdCollector() {
  let room = new BigUint64Array(1_024);
  let count = 0;
  const grow = (wanted: number) => {
    if (wanted <= room.length) return;
    const larger = new BigUint64Array(Math.max(wanted, room.length * 2));
    larger.set(room.subarray(0, count));
    room = larger;
  };
  return {
    /** Many ids, one after the other. */
    addHex(hex: string): void {
      const bytes = Buffer.from(hex, 'hex');
      grow(count + bytes.length / 8);
      for (let at = 0; at + 8 <= bytes.length; at += 8) room[count++] = bytes.readBigUInt64BE(at);
    },
    addUuid(uuid: string): void {
      grow(count + 1);
      room[count++] = idOf(uuid);
    },
    sorted: (): Ids => room.subarray(0, count).sort(),
  };
}

/** 0 when it is no UUID. */
export function idOf(uuid: string): bigint {
  if (uuid.length !== 36) return 0n;
  const high = Number(`0x${uuid.slice(0, 8)}`);
  const low = Number(`0x${uuid.slice(9, 13)}${uuid.slice(14, 18)}`);
  return Number.isNaN(high + low) ? 0n : (BigInt(high) << 32n) | BigInt(low);
}

/** The lowest and the highest UUID that begin like this. */
export function uuidsOf(id: bigint): [string, string] {
  const hex = id.toString(16).padStart(16, '0');
  const uuid = (rest: string) => `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${rest}-${rest.repeat(3)}`;
  return [uuid('0000'), uuid('ffff')];
}

/** Whether this one is among them. */
export function has(ids: Ids, id: bigint): boolean {
  let [low, high] = [0, ids.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ids[middle] as bigint) < id) low = middle + 1;
    else high = middle;
  }
  return ids[low] === id;
}

/** Those of `some` that are not in `all`. */
export function missing(some: Ids, all: Ids): bigint[] {
  const lost: bigint[] = [];
  let j = 0;
  for (const id of some) {
    while (j < all.length && (all[j] as bigint) < id) j += 1;
    if (all[j] !== id) lost.push(id);
  }
  return lost;
}

/** Those that are there more than once. */
export function repeated(ids: Ids): Set<bigint> {
  const twice = new Set<bigint>();
  for (let i = 1; i < ids.length; i += 1) if (ids[i] === ids[i - 1]) twice.add(ids[i] as bigint);
  return twice;
}
