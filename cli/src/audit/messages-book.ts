// What was sent under each (order, kind, channel), millions of them: counted under a hash of eight bytes, in one table of numbers.
import type { MessageFacts } from './messages.ts';
import type { Hash } from './text-hash.ts';

const FIRST_ROOM = 1 << 12;
const FULL = 0.75;
const COUNTS = 4;
const [ROWS, SENT, DOUBTFUL, DELIVERED] = [0, 1, 2, 3] as const;
/** As far as a byte counts; keys with more are few, and counted beside. */
const MOST = 255;
const TAKEN = 1;
/** What is known of all under one key. `recent`: created since the audit's beginning. */
export const MARK = { moving: 2, recent: 4, sms: 8, admins: 16 } as const;

export type Counted = Omit<MessageFacts, 'forAdmins'> & { delivered: number; marks: number };

export function createMessageBook() {
  let [room, count] = [FIRST_ROOM, 0];
  let [high, low, counts, marks] = [new Uint32Array(room), new Uint32Array(room), new Uint8Array(room * COUNTS), new Uint8Array(room)];

  const placeOf = (h: number, l: number): number => {
    let at = l & (room - 1);
    while (marks[at] !== 0 && (high[at] !== h || low[at] !== l)) at = (at + 1) & (room - 1);
    return at;
  };
  const take = ({ high: h, low: l }: Hash): number => {
    let at = placeOf(h, l);
    if (marks[at] !== 0) return at;
    count += 1;
    if (count > room * FULL) {
      grow();
      at = placeOf(h, l);
    }
    [high[at], low[at], marks[at]] = [h, l, TAKEN];
    return at;
  };
  const grow = () => {
    const old = { room, high, low, counts, marks };
    room *= 2;
    [high, low, counts, marks] = [new Uint32Array(room), new Uint32Array(room), new Uint8Array(room * COUNTS), new Uint8Array(room)];
    for (let i = 0; i < old.room; i += 1) {
      if (old.marks[i] === 0) continue;
      const at = placeOf(old.high[i] as number, old.low[i] as number);
      [high[at], low[at], marks[at]] = [old.high[i] as number, old.low[i] as number, old.marks[i] as number];
      counts.set(old.counts.subarray(i * COUNTS, (i + 1) * COUNTS), at * COUNTS);
    }
  };
  const more = new Map<string, number>();
  const idAt = (at: number) => (high[at] as number).toString(16).padStart(8, '0') + (low[at] as number).toString(16).padStart(8, '0');
  const add = (at: number, which: number) => {
    const known = counts[at * COUNTS + which] as number;
    if (known < MOST) counts[at * COUNTS + which] = known + 1;
    else more.set(`${idAt(at)} ${which}`, (more.get(`${idAt(at)} ${which}`) ?? 0) + 1);
  };

  return {
    /** A row of ours. `isOwn`: not a repeat that somebody asked for. */
    row(key: Hash, { isOwn, isSent, isDoubtful }: { isOwn: boolean; isSent: boolean; isDoubtful: boolean }, mark: number): void {
      const at = take(key);
      if (isOwn) add(at, ROWS);
      if (isSent) add(at, SENT);
      if (isDoubtful) add(at, DOUBTFUL);
      marks[at] = (marks[at] as number) | mark;
    },
    /** A message that the provider has taken. */
    delivered(key: Hash, mark: number): void {
      const at = take(key);
      add(at, DELIVERED);
      marks[at] = (marks[at] as number) | mark;
    },
    *all(): Generator<Counted & { hash: () => Hash }> {
      for (let at = 0; at < room; at += 1) {
        if (marks[at] === 0) continue;
        const of = (which: number) => {
          const known = counts[at * COUNTS + which] as number;
          return known < MOST ? known : known + (more.get(`${idAt(at)} ${which}`) ?? 0);
        };
        yield {
          hash: () => ({ high: high[at] as number, low: low[at] as number }), rows: of(ROWS), sent: of(SENT), doubtful: of(DOUBTFUL), delivered: of(DELIVERED), moving: ((marks[at] as number) & MARK.moving) !== 0, marks: marks[at] as number,
        };
      }
    },
  };
}
