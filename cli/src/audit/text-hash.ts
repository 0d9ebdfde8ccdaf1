// The hash that Postgres has for texts, so that what others tell of an order can be put beside rows of which only the hash was read.
// `hashtextextended(text, 0)`: Bob Jenkins' lookup3 as in src/common/hashfn.c. Which partition a row is in hangs on it, so it stays
// as it is; this is how little-endian machines have it.

/** The eight bytes, as two numbers. The lower one is Postgres's `hashtext` too. */
export type Hash = { high: number; low: number };

const START = 0x9e37_79b9 + 3_923_095;
const BLOCK = 12;
/** Texts whose bytes fit are written into it, without a buffer of their own. */
const ROOM = Buffer.alloc(512);
const MOST_BYTES = 3; // of a UTF-16 unit

const rot = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

export function hashOf(text: string): Hash {
  const [bytes, length] = text.length * MOST_BYTES <= ROOM.length ? [ROOM, ROOM.write(text)] : [Buffer.from(text), Buffer.byteLength(text)];
  let a = (START + length) | 0;
  let [b, c] = [a, a];
  let at = 0;
  for (; length - at >= BLOCK; at += BLOCK) {
    a = (a + bytes.readInt32LE(at)) | 0;
    b = (b + bytes.readInt32LE(at + 4)) | 0;
    c = (c + bytes.readInt32LE(at + 8)) | 0;
    a = (a - c) ^ rot(c, 4); c = (c + b) | 0;
    b = (b - a) ^ rot(a, 6); a = (a + c) | 0;
    c = (c - b) ^ rot(b, 8); b = (b + a) | 0;
    a = (a - c) ^ rot(c, 16); c = (c + b) | 0;
    b = (b - a) ^ rot(a, 19); a = (a + c) | 0;
    c = (c - b) ^ rot(b, 4); b = (b + a) | 0;
  }
  // The rest, byte by byte; the lowest byte of the last word stands for the length.
  for (let i = 0; at + i < length; i += 1) {
    const byte = bytes[at + i] as number;
    if (i < 4) a = (a + (byte << (8 * i))) | 0;
    else if (i < 8) b = (b + (byte << (8 * (i - 4)))) | 0;
    else c = (c + (byte << (8 * (i - 7)))) | 0;
  }
  c = ((c ^ b) - rot(b, 14)) | 0;
  a = ((a ^ c) - rot(c, 11)) | 0;
  b = ((b ^ a) - rot(a, 25)) | 0;
  c = ((c ^ b) - rot(b, 16)) | 0;
  a = ((a ^ c) - rot(c, 4)) | 0;
  b = ((b ^ a) - rot(a, 14)) | 0;
  c = ((c ^ b) - rot(b, 24)) | 0;
  return { high: b >>> 0, low: c >>> 0 };
}

/** As `int8send` packs it. */
export function hashAt(bytes: Buffer, at: number): Hash {
  return { high: bytes.readUInt32BE(at), low: bytes.readUInt32BE(at + 4) };
}

/** As Postgres writes it: signed. */
export function signed({ high, low }: Hash): bigint {
  return BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low));
}

/** As `tagAt` in buckets.ts. */
export function tagOf({ high, low }: Hash): string {
  return `#${[high, low].map((word) => word.toString(16).padStart(8, '0')).join('')}`;
}
