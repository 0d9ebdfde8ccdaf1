// Reads an outbox once, in the order in which its events were said, for all that has to be known of it: what was said, what of it is not
// published, who must have handled it, and whether versions follow each other (I12). Packed by Postgres into a few bytes an event.
import type { Database, Moment } from './database.ts';
import { type Counting, type EventType, eventsOf, judgeVersions } from './events.ts';
import { type Ids, UUID_BYTES, createIdCollector } from './ids.ts';
import type { Service, Tally } from './report.ts';
import { type Hash, hashAt, signed } from './text-hash.ts';
import { createVersionBook } from './versions.ts';
import { OUTBOX_SINCE, type Window, windowValues, young } from './window.ts';

export type Outbox = {
  count: number;
  /** All of them, when they are to be compared with a stream. */
  all: Ids;
  /** Not published, however young. */
  unpublished: Ids;
  /** Not published, and old enough to have been. */
  late: Ids;
  /** By hearer: those that are old enough to have been handled by it. */
  wanted: Map<Service, Ids>;
};

type Aggregate = { service: Service; table: string; id: string; version: string; says: string[]; counting: Counting; start: number };

/** Of what versions are counted. Inventory's levels and its reservations are two; the alerts about a level have its version and no count of their own. */
const AGGREGATES: readonly Aggregate[] = [
  { service: 'order', table: 'orders', id: 'order_id', version: 'version', says: ['orders.'], counting: 'rising', start: 1 },
  { service: 'product', table: 'product', id: 'sku', version: 'revision', says: ['products.'], counting: 'every', start: 1 },
  { service: 'payment', table: 'payment', id: 'order_id', version: 'version', says: ['payments.'], counting: 'every', start: 2 },
  { service: 'inventory', table: 'stock', id: 'sku', version: 'version', says: ['inventory.stock_changed'], counting: 'every', start: 1 },
  { service: 'inventory', table: 'reservation', id: 'order_id', version: 'version', says: ['inventory.committed', 'inventory.released', 'inventory.shortfall'], counting: 'rising', start: 1 },
  { service: 'notification', table: 'notification', id: 'notification_id', version: 'version', says: ['notifications.'], counting: 'rising', start: 1 },
];

const PUBLISHED = 2;
const YOUNG = 1;
/** Events in one answer: a third of a megabyte. */
const STEP = 10_000;
/** Offenders that are looked up by name. */
const MAX_NAMED = 10;

// Of each event: its id, 8 bytes of a hash of its aggregate's, 4 of the version, 4 that say its type (from 1 on; 0 is none that we know),
// whether it is published and whether it is young. By primary key, so that positions ascend.
const EVENTS = `
  SELECT string_agg(uuid_send(event_id) || int8send(hashtextextended(aggregate_id, 0)) || int8send((aggregate_version::bigint << 32)
      | (coalesce(array_position($3::text[], type), 0) * 4 + is_published::int * ${PUBLISHED} + ${young('create_time')}::int * ${YOUNG})), ''::bytea), max(position)
  FROM (SELECT *, position <= (SELECT position FROM outbox_mark) AND NOT EXISTS (SELECT FROM outbox_again WHERE outbox_again.position = outbox.position) AS is_published
    FROM outbox WHERE create_time >= $2::timestamptz AND position > $4::bigint ORDER BY position LIMIT ${STEP}) events`;
const EVENT_BYTES = 32;

// Of each aggregate: 8 bytes of its id's hash, 4 of its version, 4 that are 1 when its first event must still be there.
const aggregatesOf = ({ table, id, version }: Aggregate) => (piece: string): string => `
  SELECT string_agg(int8send(hashtextextended(${id}, 0)) || int8send((${version}::bigint << 32) | (create_time >= ${OUTBOX_SINCE})::int), ''::bytea)
  FROM ${table} WHERE ${piece}`;
const AGGREGATE_BYTES = 16;

/** Everything of one moment, so that rows and their events agree whatever goes on meanwhile. */
export async function readOutbox(database: Database, service: Service, window: Window, tally: Tally, { wantsAll }: { wantsAll: boolean }): Promise<Outbox> {
  const types = eventsOf(service);
  let count = 0;
  const [all, unpublished, late] = [createIdCollector(), createIdCollector(), createIdCollector()];
  const wanted = new Map(types.flatMap(({ hearers }) => hearers).map((hearer) => [hearer, createIdCollector()]));
  const hearers = types.map((type) => type.hearers.map((hearer) => wanted.get(hearer)));
  await database.moment(async (moment) => {
    const ofService = AGGREGATES.filter((aggregate) => aggregate.service === service);
    const aggregates = await Promise.all(ofService.map(async (aggregate) => ({ aggregate, book: createVersionBook(await moment.expectedRows([aggregate.table])) })));
    const books = types.map(({ subject }) => aggregates.find(({ aggregate }) => aggregate.says.some((start) => subject.startsWith(start)))?.book);
    for await (const events of packed(moment, window, types)) {
      for (let at = 0; at < events.length; at += EVENT_BYTES) {
        const code = events.readInt32BE(at + 28);
        count += 1;
        if (wantsAll) all.addUuid(events, at);
        if ((code & PUBLISHED) === 0) unpublished.addUuid(events, at);
        if ((code & (PUBLISHED | YOUNG)) === 0) late.addUuid(events, at);
        const type = (code >> 2) - 1;
        if ((code & YOUNG) === 0) for (const hearer of hearers[type] ?? []) hearer?.addUuid(events, at);
        books[type]?.say(hashAt(events, at + UUID_BYTES), events.readInt32BE(at + 24));
      }
    }
    // Then the rows that these are the events of.
    for (const { aggregate, book } of aggregates) await judge(moment, window, aggregate, book, tally);
  });
  return { count, all: all.sorted(), unpublished: unpublished.sorted(), late: late.sorted(), wanted: new Map([...wanted].map(([hearer, ids]) => [hearer, ids.sorted()])) };
}

async function* packed(moment: Moment, window: Window, types: EventType[]): AsyncGenerator<Buffer> {
  const names = types.map(({ type }) => type);
  const step = async (after: bigint) => {
    let found: { events: Buffer; last: bigint } | undefined;
    for await (const [events, last] of moment.packed(EVENTS, [...windowValues(window), names, String(after)])) if (events && last) found = { events, last: last.readBigInt64BE() };
    return found;
  };
  for (let next = step(-1n); ; ) {
    const found = await next;
    if (!found) return;
    next = step(found.last);
    next.catch(() => {}); // told when it is awaited
    yield found.events;
  }
}

async function judge({ ask, pieces }: Moment, window: Window, aggregate: Aggregate, book: ReturnType<typeof createVersionBook>, tally: Tally): Promise<void> {
  const { counting, start } = aggregate;
  const bad: { hash: string; problem: string }[] = [];
  let checked = 0;
  const look = (hash: Hash, versions: Parameters<typeof judgeVersions>[0]) => {
    checked += 1;
    const problem = judgeVersions(versions, counting, start);
    if (problem) bad.push({ hash: String(signed(hash)), problem });
  };
  for await (const rows of pieces(aggregate.table, aggregatesOf(aggregate), windowValues(window))) {
    for (let at = 0; at < rows.length; at += AGGREGATE_BYTES) {
      const hash = hashAt(rows, at);
      look(hash, book.meet(hash, rows.readInt32BE(at + 8), rows.readInt32BE(at + 12) === 1));
    }
  }
  for (const { hash, versions } of book.unmet()) look(hash, versions);
  tally.checked('I12', checked);
  const names = await namesOf(ask, aggregate, bad.slice(0, MAX_NAMED).map(({ hash }) => hash));
  for (const { hash, problem } of bad) tally.violated({ invariant: 'I12', what: `${aggregate.table} ${names.get(hash) ?? ''}`.trim(), problem });
}

async function namesOf(ask: Moment['ask'], { table, id }: Aggregate, hashes: string[]): Promise<Map<string, string>> {
  if (hashes.length === 0) return new Map();
  const found = await ask(`
    SELECT hashtextextended(id, 0), id FROM (SELECT ${id}::text AS id FROM ${table} UNION SELECT aggregate_id FROM outbox) ids
    WHERE hashtextextended(id, 0) = ANY($1::bigint[])`, [hashes]);
  return new Map(found.map(([hash, name]) => [hash ?? '', name ?? '']));
}
