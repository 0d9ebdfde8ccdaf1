// The provider's records of money, a million of them, as numbers: as strings they would take three times the memory.
import { BUCKETS } from './buckets.ts';
import type { MoneyRow } from './provider.ts';
import { hashOf } from './text-hash.ts';
import { codeOf } from './words.ts';

/** Of a record: hashes of its order and of the intent, the amount, codes of its type and currency, whether it is young. */
export const RECORD = { bytes: 36, intent: 8, amount: 16, type: 24, currency: 28, young: 32 } as const;
const PER_PAGE = 10_000;

export function createLedger() {
  const pages: Buffer[] = [];
  const counts = new Uint32Array(BUCKETS);
  const codes = new Map<string, number>();
  let count = 0;
  const code = (word: string): number => {
    const known = codes.get(word) ?? codeOf(word);
    codes.set(word, known);
    return known;
  };
  const pageOf = (n: number): Buffer => pages[Math.floor(n / PER_PAGE)] ?? Buffer.alloc(0);
  const placeOf = (n: number): number => (n % PER_PAGE) * RECORD.bytes;

  return {
    add({ type, orderId, amount, currency, intent }: MoneyRow, isYoung: boolean): void {
      if (count % PER_PAGE === 0) pages.push(Buffer.alloc(PER_PAGE * RECORD.bytes));
      const [page, at, order, by] = [pageOf(count), placeOf(count), hashOf(orderId), hashOf(intent)];
      page.writeUInt32BE(order.high, at);
      page.writeUInt32BE(order.low, at + 4);
      page.writeUInt32BE(by.high, at + RECORD.intent);
      page.writeUInt32BE(by.low, at + RECORD.intent + 4);
      page.writeDoubleBE(amount, at + RECORD.amount);
      page.writeInt32BE(code(type), at + RECORD.type);
      page.writeInt32BE(code(currency.toUpperCase()), at + RECORD.currency);
      page.writeInt32BE(Number(isYoung), at + RECORD.young);
      const bucket = order.low & (BUCKETS - 1);
      counts[bucket] = (counts[bucket] as number) + 1;
      count += 1;
    },
    /** The records of each bucket. */
    buckets(): (bucket: number) => Buffer {
      const starts = new Uint32Array(BUCKETS + 1);
      counts.forEach((n, bucket) => void (starts[bucket + 1] = (starts[bucket] as number) + n));
      const order = new Uint32Array(count);
      const next = starts.slice();
      for (let n = 0; n < count; n += 1) {
        const bucket = pageOf(n).readUInt32BE(placeOf(n) + 4) & (BUCKETS - 1);
        order[next[bucket] as number] = n;
        next[bucket] = (next[bucket] as number) + 1;
      }
      return (bucket) => {
        const some = order.subarray(starts[bucket], starts[bucket + 1]);
        const bytes = Buffer.alloc(some.length * RECORD.bytes);
        some.forEach((n, i) => pageOf(n).copy(bytes, i * RECORD.bytes, placeOf(n), placeOf(n) + RECORD.bytes));
        return bytes;
      };
    },
  };
}
