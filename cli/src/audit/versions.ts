// The versions that were said of each aggregate, millions of them, in the order in which they were said: a hash table of numbers,
// because a million small objects would take ten times the memory.
import type { Versions } from './events.ts';
import type { Hash } from './text-hash.ts';

const LEAST_ROOM = 1 << 10;
const FULL = 0.8;
/** What is known of one aggregate stands together, as five numbers: to look it up is one way to memory. */
const WORDS = 5;
const [HIGH, LOW, FIRST, LAST, SEEN] = [0, 1, 2, 3, 4] as const;
/** Of `SEEN`: two marks, and two counts as far as they go. */
const KNOWN = 1;
const MET = 2;
const [BACK, GAPS] = [2, 16] as const;
const MOST = 0x3fff;

/** `expected`: about how many aggregates there will be. */
export function createVersionBook(expected = 0) {
  let room = Math.max(LEAST_ROOM, Math.ceil(expected / FULL) + LEAST_ROOM);
  let count = 0;
  let book = new Int32Array(room * WORDS);

  /** Where an aggregate stands, or would. */
  const placeOf = (h: number, l: number): number => {
    let at = Math.floor(((l >>> 0) / 2 ** 32) * room) * WORDS;
    while (book[at + SEEN] !== 0 && (book[at + HIGH] !== h || book[at + LOW] !== l)) at = at + WORDS < book.length ? at + WORDS : 0;
    return at;
  };
  const grow = () => {
    const old = book;
    room *= 2;
    book = new Int32Array(room * WORDS);
    for (let i = 0; i < old.length; i += WORDS) if (old[i + SEEN] !== 0) book.set(old.subarray(i, i + WORDS), placeOf(old[i + HIGH] as number, old[i + LOW] as number));
  };
  const more = (at: number, which: number) => {
    const seen = book[at + SEEN] as number;
    if (((seen >>> which) & MOST) < MOST) book[at + SEEN] = seen + (1 << which);
  };
  const versionsAt = (at: number, current: number | undefined, whole: boolean): Versions => {
    const seen = book[at + SEEN] as number;
    return { back: (seen >>> BACK) & MOST, gaps: (seen >>> GAPS) & MOST, first: book[at + FIRST], last: book[at + LAST], current, whole };
  };

  return {
    /** A version was said of the aggregate whose id has this hash. */
    say({ high, low }: Hash, version: number): void {
      const at = placeOf(high | 0, low | 0);
      if (book[at + SEEN] === 0) {
        book[at + HIGH] = high;
        book[at + LOW] = low;
        book[at + FIRST] = version;
        book[at + LAST] = version;
        book[at + SEEN] = KNOWN;
        count += 1;
        if (count > room * FULL) grow();
        return;
      }
      const before = book[at + LAST] as number;
      if (version <= before) return more(at, BACK);
      if (version > before + 1) more(at, GAPS);
      book[at + LAST] = version;
    },
    /** The aggregate as its table has it. */
    meet({ high, low }: Hash, current: number, whole: boolean): Versions {
      const at = placeOf(high | 0, low | 0);
      if (book[at + SEEN] === 0) return { back: 0, gaps: 0, first: undefined, last: undefined, current, whole };
      book[at + SEEN] = (book[at + SEEN] as number) | MET;
      return versionsAt(at, current, whole);
    },
    /** Those of which something was said and that no table has. */
    *unmet(): Generator<{ hash: Hash; versions: Versions }> {
      for (let at = 0; at < book.length; at += WORDS) {
        if (((book[at + SEEN] as number) & (KNOWN | MET)) === KNOWN) yield { hash: { high: (book[at + HIGH] as number) >>> 0, low: (book[at + LOW] as number) >>> 0 }, versions: versionsAt(at, undefined, false) };
      }
    },
  };
}
