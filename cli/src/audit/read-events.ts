// Reads outboxes, inboxes and streams as sets of ids, and compares them: I10 and I11; and I12 while an outbox is read.
import type { Database } from './database.ts';
import { streamOf } from './events.ts';
import { ID_OF_ROW, type Ids, createIdCollector, endOf, has, idOf, listOf, missing, repeated } from './ids.ts';
import { readOutbox } from './read-outbox.ts';
import { SERVICES, type Service, type Tally } from './report.ts';
import { type Streams, openStreams } from './streams.ts';
import type { Window, World } from './window.ts';

/** Outboxes keep their rows seven days after they were published; what is near that age may be gone by the next statement. */
const OUTBOX_KEEPS_MS = 7 * 86_400_000 - 3_600_000;
/** The broker drops a repeated id within this time, so a copy that is nearer to the first one is the broker's fault. */
const DEDUPE_WINDOW_MS = 120_000;
/** Lost events that are looked up by name. */
const MAX_NAMED = 10;

const INBOX = (piece: string): string => `SELECT string_agg(uuid_send(event_id), ''::bytea) FROM inbox WHERE handle_time >= $1::timestamptz AND ${piece}`;
const BURIED = `SELECT DISTINCT event_id FROM dead_letter`;
// Reads the whole outbox: no index has the ends of ids.
const NAMED = `SELECT event_id, type, aggregate_id FROM outbox WHERE ${ID_OF_ROW} = ANY(SELECT decode(unnest($1::text[]), 'hex'))`;

export async function checkEvents(world: World, tally: Tally): Promise<void> {
  const { window, databases, have } = world;
  const arrived = new Map<Service, Promise<Arrivals>>();
  const streams = world.nats !== undefined && have.has('streams') ? await openStreams(world.nats) : undefined;
  try {
    for (const says of SERVICES) {
      if (!have.has(says)) continue;
      const outbox = await readOutbox(databases[says], says, window, tally, { wantsAll: streams !== undefined });
      tally.checked('I10', outbox.count);
      await name('I10', says, listOf(outbox.late), 'is not published');
      if (streams) {
        const read = await readStream(streams, streamOf(says), window);
        await name('I10', says, missing(outbox.all, read.ids).filter((id) => !has(outbox.unpublished, id)), `is not in the stream ${streamOf(says)}`);
        const invented = missing(read.settled, outbox.all);
        for (const id of invented) tally.violated({ invariant: 'I10', what: `event …${endOf(id)}`, problem: `is in the stream ${streamOf(says)} and was never said by ${says}` });
        for (const id of await tooNear(streams, streamOf(says), window, repeated(read.ids))) {
          tally.violated({ invariant: 'I10', what: `event ${id}`, problem: `is in the stream ${streamOf(says)} twice within the time in which the broker drops repeats` });
        }
      }
      for (const [hearer, wanted] of outbox.wanted) {
        if (!have.has(hearer)) continue;
        tally.checked('I11', wanted.count);
        const { handled, buried } = await arrivals(hearer);
        await name('I11', says, missing(wanted, handled).filter((id) => !buried.has(id)), `was never handled by ${hearer}`);
      }
    }
  } finally {
    await streams?.close();
  }

  /** Says which events they are, as far as somebody wants to read. */
  async function name(invariant: 'I10' | 'I11', says: Service, ids: string[], problem: string): Promise<void> {
    const rows = ids.length > 0 ? await databases[says].few(NAMED, [ids.slice(0, MAX_NAMED)]) : [];
    const names = new Map(rows.map(([eventId, type, aggregateId]) => [idOf(eventId ?? ''), `event ${eventId} (${shortType(type)} of ${aggregateId})`]));
    for (const id of ids) tally.violated({ invariant, what: names.get(id) ?? `event of ${says}`, problem });
  }

  function arrivals(hearer: Service): Promise<Arrivals> {
    const known = arrived.get(hearer) ?? readArrivals(databases[hearer], window);
    arrived.set(hearer, known);
    return known;
  }
}

type Arrivals = { handled: Ids; buried: Set<string> };

async function readArrivals(database: Database, { since }: Window): Promise<Arrivals> {
  const ids = createIdCollector(await database.expectedRows(['inbox']));
  for await (const uuids of database.pieces('inbox', INBOX, [since?.toISOString() ?? '-infinity'])) ids.addUuids(uuids);
  const buried = new Set<string>();
  for await (const batch of database.rows(BURIED)) for (const [id] of batch) buried.add(idOf(id ?? ''));
  return { handled: ids.sorted(), buried };
}

/** `settled`: those that must be in the outbox if anybody said them: neither too new for what was read of it, nor too old for it to keep. */
async function readStream(streams: Streams, stream: string, window: Window): Promise<{ ids: Ids; settled: Ids }> {
  const [ids, settled] = [createIdCollector(), createIdCollector()];
  const latest = new Date(window.start.getTime() - window.graceMs).toISOString();
  const earliest = new Date(Math.max(window.start.getTime() - OUTBOX_KEEPS_MS, window.since?.getTime() ?? 0)).toISOString();
  await streams.read(stream, window.since, (id, time) => {
    ids.addText(id);
    if (time >= earliest && time < latest) settled.addText(id);
  });
  return { ids: ids.sorted(), settled: settled.sorted() };
}

/** Copies are rare: only for them the stream is read once more, now with the times at which it got them. */
async function tooNear(streams: Streams, stream: string, { since }: Window, copies: Set<string>): Promise<string[]> {
  if (copies.size === 0) return [];
  const last = new Map<string, number>();
  const near: string[] = [];
  await streams.read(stream, since, (id, _time, stored) => {
    const key = idOf(id);
    if (!copies.has(key)) return;
    if (stored() - (last.get(key) ?? -Infinity) < DEDUPE_WINDOW_MS) near.push(id);
    last.set(key, stored());
  });
  return near;
}

const shortType = (type: string | null | undefined): string => type?.slice(type.lastIndexOf('.') + 1) ?? '';
