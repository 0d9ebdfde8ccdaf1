// Reads the steps that orders, payments and stock took, and judges those that took the same together: a million orders have a few dozen
// different paths. I13, and I12 as orders have heard of their payments' versions.
import { type Bucketed, HASH_OF_ORDER, buckets, eachKey, isSame, namesOf, tagAt, two } from './buckets.ts';
import { judgeHeard } from './events.ts';
import { orderPath, paymentPath, stockPath } from './orders.ts';
import type { Service, Tally } from './report.ts';
import { OUTBOX_SINCE, type World, windowValues } from './window.ts';
import { codeOf, wordOf } from './words.ts';

/** What there is of one order: places of rows in a bucket. `own`: the row that went this way, -1 when there is none. */
type Entry = { bucket: Buffer; own: number; steps: number[]; heard: number[] };
/** A few numbers that say what it is about, and codes of words. */
type Told = number[];
type Path = Bucketed & {
  service: Service;
  what: string;
  /** Has the ids of those that are named. */
  table: string;
  /** The paths of one entry. */
  tell(entry: Entry): Told[];
  judge(told: Told): string | undefined;
  heard?(entry: Entry): string | undefined;
};

const [STEP, HEARD, OWN] = [0, 1, 2] as const;
/** A number that is missing, which is after all others. */
const NONE = 2 ** 31 - 1;
// Of every row the hash of its order, a word, a number, its place among its like, and what it is.
const PACKED = `int8send(hash) || ${two('coalesce(hashtext(word), 0)', `coalesce(number, ${NONE})`)} || int8send(place * 4 + mark)`;
const BYTES = 24;
const wordAt = (bucket: Buffer, at: number): number => bucket.readInt32BE(at + 8);
const numberAt = (bucket: Buffer, at: number): number => bucket.readInt32BE(at + 12);
const placeAt = (bucket: Buffer, at: number): number => bucket.readUInt32BE(at + 16) * 2 ** 30 + (bucket.readUInt32BE(at + 20) >>> 2);
const markAt = (bucket: Buffer, at: number): number => bucket.readUInt32BE(at + 20) & 3;

const ORDER: Path = {
  service: 'order', what: 'order', table: 'orders', tables: ['orders', 'timeline'], packed: PACKED, bytes: BYTES,
  rows: `
    SELECT ${HASH_OF_ORDER} AS hash, CASE source WHEN 'order' THEN detail->>'state' END AS word, (detail->>CASE source WHEN 'order' THEN 'version' ELSE 'payment_version' END)::int AS number,
      position AS place, CASE source WHEN 'order' THEN ${STEP} ELSE ${HEARD} END AS mark
    FROM timeline WHERE source IN ('order', 'payment')
    UNION ALL
    SELECT ${HASH_OF_ORDER}, state, payment_version, (update_time < (SELECT now() - $1::float8 * interval '1 ms'))::int, ${OWN} FROM orders WHERE create_time >= $2::timestamptz`,
  tell: ({ bucket, own, steps }) => (own < 0 ? [] : [[wordAt(bucket, own), ...steps.map((at) => wordAt(bucket, at)).filter((word) => word !== 0)]]),
  judge: ([state = 0, ...path]) => orderPath(path.map(wordOf), wordOf(state), true),
  heard({ bucket, own, heard }) {
    if (own < 0 || placeAt(bucket, own) === 0 || heard.length === 0) return undefined;
    return judgeHeard(heard.map((at) => numberAt(bucket, at)).filter((version) => version !== NONE), numberAt(bucket, own));
  },
};
const PAYMENT: Path = {
  service: 'payment', what: 'payment of', table: 'payment', tables: ['payment', 'outbox'], packed: PACKED, bytes: BYTES,
  rows: `
    SELECT hashtextextended(aggregate_id, 0) AS hash, split_part(subject, '.', 2) AS word, 0 AS number, position AS place, ${STEP} AS mark FROM outbox
    UNION ALL
    SELECT ${HASH_OF_ORDER}, state, (create_time >= ${OUTBOX_SINCE})::int, 0, ${OWN} FROM payment WHERE create_time >= $2::timestamptz`,
  tell: ({ bucket, own, steps }) => (own < 0 ? [] : [[numberAt(bucket, own), wordAt(bucket, own), ...steps.map((at) => wordAt(bucket, at))]]),
  judge: ([whole, state = 0, ...events]) => paymentPath(events.map(wordOf), wordOf(state), whole === 1),
};
// Stock takes its steps for each sku.
const [SKU, HELD, ON_HAND] = [BYTES, BYTES + 8, BYTES + 12] as const;
const STOCK: Path = {
  service: 'inventory', what: 'stock of', table: 'movement', tables: ['movement', 'reservation'], bytes: BYTES + 16,
  packed: `${PACKED} || int8send(sku) || ${two('held', 'on_hand')}`,
  rows: `
    SELECT ${HASH_OF_ORDER} AS hash, kind AS word, 0 AS number, movement_id AS place, ${STEP} AS mark, hashtextextended(sku, 0) AS sku, reserved_delta AS held, on_hand_delta AS on_hand
    FROM movement WHERE order_id <> ''
    UNION ALL
    SELECT ${HASH_OF_ORDER}, state, (create_time >= $2::timestamptz)::int, 0, ${OWN}, 0, 0, 0 FROM reservation`,
  tell({ bucket, own, steps }) {
    if (own >= 0 && numberAt(bucket, own) === 0) return [];
    const state = own < 0 ? codeOf('') : wordAt(bucket, own);
    const told: Told[] = [];
    for (let left = steps; left.length > 0; ) {
      const sku = (at: number) => isSame(bucket, (left[0] as number) + SKU, at + SKU);
      const moved = left.filter(sku);
      const sum = (units: number) => moved.reduce((all, at) => all + bucket.readInt32BE(at + units), 0);
      told.push([Math.sign(sum(HELD)), Math.sign(-sum(ON_HAND)), state, ...moved.map((at) => wordAt(bucket, at))]);
      left = left.filter((at) => !sku(at));
    }
    return told;
  },
  judge: ([held = 0, sold = 0, state = 0, ...kinds]) => stockPath(kinds.map(wordOf), { held, sold }, wordOf(state)),
};

export async function checkPaths({ window, databases, have }: World, tally: Tally): Promise<void> {
  for (const path of [ORDER, PAYMENT, STOCK]) {
    if (!have.has(path.service)) continue;
    const paths = createPaths();
    const unheard: { tag: string; problem: string }[] = [];
    await databases[path.service].moment(async (moment) => {
      for await (const { bytes: bucket } of buckets(moment, path, windowValues(window))) {
        eachKey(bucket, [{ bytes: path.bytes, end: bucket.length }], (places) => {
          const entry = entryOf(bucket, places);
          for (const told of path.tell(entry)) paths.count(told, () => tagAt(bucket, places[0] as number));
          const problem = path.heard?.(entry);
          if (problem) unheard.push({ tag: tagAt(bucket, places[0] as number), problem });
        });
      }
    });
    const judged = paths.all().map(({ told, ...alike }) => ({ ...alike, problem: path.judge(told) }));
    const wrong = judged.filter(({ problem }) => problem);
    const names = await namesOf(databases[path.service], path.table, 'order_id', [...wrong.map(({ first }) => first), ...unheard.map(({ tag }) => tag)]);
    for (const { times } of judged) tally.checked('I13', times);
    for (const { times, first, problem = '' } of wrong) tally.violated({ invariant: 'I13', what: `${path.what} ${names.get(first) ?? first}`, problem, times });
    for (const { tag, problem } of unheard) tally.violated({ invariant: 'I12', what: `order ${names.get(tag) ?? tag}`, problem });
  }
}

/** Steps by number, then by place. */
function entryOf(bucket: Buffer, places: number[]): Entry {
  const entry: Entry = { bucket, own: -1, steps: [], heard: [] };
  for (const at of places) {
    const mark = markAt(bucket, at);
    if (mark === OWN) entry.own = at;
    else if (mark === HEARD) entry.heard.push(at);
    else entry.steps.push(at);
  }
  const order = (one: number, other: number) => numberAt(bucket, one) - numberAt(bucket, other) || placeAt(bucket, one) - placeAt(bucket, other);
  if (entry.steps.some((at, i) => i > 0 && order(entry.steps[i - 1] as number, at) > 0)) entry.steps.sort(order);
  return entry;
}

/** The different paths, as a tree of what comes after what: a million are counted without a text for each. */
function createPaths() {
  type Alike = { told: Told; times: number; first: string };
  type Branch = { next: Map<number, Branch>; alike: Alike | undefined };
  const root: Branch = { next: new Map(), alike: undefined };
  const found: Alike[] = [];
  return {
    count(told: Told, tag: () => string): void {
      let branch = root;
      for (const step of told) {
        let next = branch.next.get(step);
        if (!next) branch.next.set(step, (next = { next: new Map(), alike: undefined }));
        branch = next;
      }
      if (branch.alike) branch.alike.times += 1;
      else found.push((branch.alike = { told, times: 1, first: tag() }));
    },
    all: () => found,
  };
}
