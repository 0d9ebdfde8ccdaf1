// The versions that were said of each aggregate, millions of them, in the order in which they were said: a hash table of numbers,
// because a million small objects would take ten times the memory.
import type { Versions } from './events.ts';
import type { Hash } from './text-hash.ts';

const FIRST_ROOM = 1 << 12;
const FULL = 0.75;
const MOST = 255;
const KNOWN = 1;
const MET = 2;

export function createVersionBook() {
  let room = FIRST_ROOM;
  let count = 0;
  let [high, low] = [new Uint32Array(room), new Uint32Array(room)];
  let [first, last] = [new Int32Array(room), new Int32Array(room)];
  let [back, gaps, marks] = [new Uint8Array(room), new Uint8Array(room), new Uint8Array(room)];

  /** Where an aggregate stands, or would. */
  const placeOf = (h: number, l: number): number => {
    let at = (h ^ l) & (room - 1);
    while (marks[at] !== 0 && (high[at] !== h || low[at] !== l)) at = (at + 1) & (room - 1);
    return at;
  };
  const grow = () => {
    const old = { room, high, low, first, last, back, gaps, marks };
    room *= 2;
    [high, low, first, last] = [new Uint32Array(room), new Uint32Array(room), new Int32Array(room), new Int32Array(room)];
    [back, gaps, marks] = [new Uint8Array(room), new Uint8Array(room), new Uint8Array(room)];
    for (let i = 0; i < old.room; i += 1) {
      if (old.marks[i] === 0) continue;
      const at = placeOf(old.high[i] as number, old.low[i] as number);
      [high[at], low[at], first[at], last[at]] = [old.high[i] as number, old.low[i] as number, old.first[i] as number, old.last[i] as number];
      [back[at], gaps[at], marks[at]] = [old.back[i] as number, old.gaps[i] as number, old.marks[i] as number];
    }
  };

  return {
    /** A version was said of the aggregate whose id has this hash. */
    say(h: number, l: number, version: number): void {
      const at = placeOf(h, l);
      if (marks[at] === 0) {
        [high[at], low[at], first[at], last[at], marks[at]] = [h, l, version, version, KNOWN];
        count += 1;
        if (count > room * FULL) grow();
        return;
      }
      const before = last[at] as number;
      if (version <= before) back[at] = Math.min(MOST, (back[at] as number) + 1);
      else if (version > before + 1) gaps[at] = Math.min(MOST, (gaps[at] as number) + 1);
      last[at] = Math.max(before, version);
    },
    /** The aggregate as its table has it. */
    meet(h: number, l: number, current: number, whole: boolean): Versions {
      const at = placeOf(h, l);
      if (marks[at] === 0) return { back: 0, gaps: 0, first: undefined, last: undefined, current, whole };
      marks[at] = KNOWN | MET;
      return { back: back[at] as number, gaps: gaps[at] as number, first: first[at], last: last[at], current, whole };
    },
    /** Those of which something was said and that no table has. */
    *unmet(): Generator<{ hash: Hash; versions: Versions }> {
      for (let at = 0; at < room; at += 1) {
        if (marks[at] === KNOWN) yield { hash: { high: high[at] as number, low: low[at] as number }, versions: { back: back[at] as number, gaps: gaps[at] as number, first: first[at], last: last[at], current: undefined, whole: false } };
      }
    },
  };
}
