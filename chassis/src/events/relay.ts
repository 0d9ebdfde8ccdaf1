// Publishes the outbox: in order, in atomic batches, at least once. A broker that is away only delays it.

import { JetStreamApiError, type JetStreamClient } from '@nats-io/jetstream';
import { crashPoint } from '../crash-point.ts';
import { advisoryLock } from '../database/advisory-lock.ts';
import { rowset, sql, type Database, type Queryable, type Statement } from '../database/db.ts';
import { createLoop, restAfter, type Loop } from '../flow/loop.ts';
import type { Log } from '../telemetry/log.ts';
import { MessageHeaders } from './message-headers.ts';
import { Progress } from './progress.ts';

/** Rows published together; the server takes atomic batches of up to 1,000. */
const BATCH = 500;
/** An atomic batch costs the broker 2 ms, whatever is in it: as much as a dozen publications one by one, which also take their time. */
const FEWEST_IN_BATCH = 8;
/** The safety net for a missed poke, or for rows that another process wrote. */
const POLL_MS = 200;
/** From a commit to the look for its events. */
const POKE_MS = 1;
/** The server's own limit is 5 s for an API answer; a slower disk is an outage. */
const PUBLISH_TIMEOUT_MS = 10_000;
/** A transaction that is overtaken by another has mostly committed by then; before, nobody asks who it is. */
const GAP_LOOK_MS = 100;
/** With so many places at which something may still come, no more is read until some of it has. */
const MAX_GAPS = 10_000;
/** No position is beyond. */
const END = 2n ** 63n - 1n;

type Row = {
  position: bigint;
  event_id: string;
  subject: string;
  type: string;
  aggregate_id: string;
  aggregate_version: number;
  body: string;
  traceparent: string | null;
  create_time: Date;
};

export type Relay = Loop & {
  /** Lets another instance publish. */
  resign(): void;
};

export type RelayOptions = {
  service: string;
  db: Database;
  log: Log;
  broker: () => JetStreamClient | undefined;
  /** The signal of the broker's present connection. Without it a publication that a dead server owes an answer to, or that was made while it was away, would be waited for until the timeout. */
  lost: () => AbortSignal;
  /** Told how many events were published together. */
  onPublished?: (events: number) => void;
};

/**
 * The loop that publishes. Whoever holds the service's advisory lock publishes, so that two instances can't break the order.
 * How far it has come stands in one row, `outbox_mark`, which is written after the broker has stored the events, by the statement that looks for
 * the next ones: a kill at any point repeats a publication and never loses one. What is to be published once more stands in `outbox_again`.
 */
export function createRelay({ service, db, log, broker, lost, onPublished }: RelayOptions): Relay {
  // A mark that a crash of the database takes away repeats a publication; waiting for the disk each time would cost more than the mark.
  const leadership = advisoryLock(db, 'relay', sql`SET synchronous_commit = off`);
  const loop = createLoop({ name: 'relay', log, pollMs: POLL_MS, rest: restAfter, round: publishNext });
  let progress = new Progress();
  let session: Queryable | undefined;
  let savedMark = 0n;
  let repeated: bigint[] = [];
  let nextLook = 0;
  // Not at once: whoever waits for what was committed is answered first.
  db.onEvents(() => void setTimeout(() => loop.poke(), POKE_MS));
  return {
    ...loop,
    resign: () => leadership.release(),
    async start(signal) {
      await loop.start(signal);
      leadership.release();
    },
  };

  async function publishNext(): Promise<number> {
    const js = broker();
    const loss = lost();
    if (js === undefined || (loss.aborted && progress.mark === savedMark && repeated.length === 0)) return 0;
    const leader = await leadership.hold();
    if (leader === undefined) return 0;
    if (leader !== session) {
      // Whoever published meanwhile knows better; and a database that has failed over may give positions out again.
      [progress, repeated] = [new Progress(), []];
      session = leader;
    }
    const { next, hasRepeats } = await save(leader);
    if (loss.aborted) return 0;
    const hasGaps = progress.gaps.length > 0;
    if (!hasGaps) nextLook = performance.now() + GAP_LOOK_MS;
    // Read after what is next, and said before it: what has come into a gap meanwhile may be what that follows upon.
    const late = hasGaps ? await lateRows(leader) : [];
    const again = hasRepeats ? await repeatedRows(leader) : [];
    const rows = [...late, ...again, ...next];
    for (let from = 0; from < rows.length; from += BATCH) {
      const together = rows.slice(from, from + BATCH);
      await unlessLost(publish(js, service, together, loss), loss);
      onPublished?.(together.length);
    }
    if (rows.length > 0) crashPoint('relay.published');
    progress.publishedLate(late.map((row) => row.position));
    progress.publishedNext(next.map((row) => row.position));
    repeated = again.map((row) => row.position);
    return rows.length;
  }

  /** Writes down what is published, and answers what is to be published next. */
  async function save(leader: Queryable): Promise<{ next: Row[]; hasRepeats: boolean }> {
    const rows = await leader.query<Partial<Row> & { mark: bigint; has_repeats: boolean }>(nextRows(progress.mark, progress.gaps.length < MAX_GAPS ? progress.seen : END, repeated));
    const [first] = rows;
    if (first === undefined) throw new Error('outbox_mark is empty: nobody knows what is published');
    progress.goOnFrom(first.mark);
    savedMark = progress.mark;
    repeated = [];
    return { next: rows.filter((row): row is typeof row & Row => row.position !== null), hasRepeats: first.has_repeats };
  }

  /** What has come into gaps. Closes those that nobody can fill any more. */
  async function lateRows(leader: Queryable): Promise<Row[]> {
    const looks = performance.now() >= nextLook;
    if (looks) nextLook = performance.now() + GAP_LOOK_MS;
    const writing = looks ? await leader.query<{ transaction: string }>(WRITING) : undefined;
    const rows = await leader.query<Row>(rowsBetween(progress.gaps));
    if (writing) progress.close(new Set(writing.map(({ transaction }) => transaction)), rows.map((row) => row.position));
    return rows;
  }
}

const COLUMNS = sql`position, event_id, subject, type, aggregate_id, aggregate_version, body, traceparent, create_time`;

/** Primary keys. At least one row, with the mark as it was; its other columns are null when there is nothing to publish. */
function nextRows(mark: bigint, seen: bigint, repeated: bigint[]): Statement {
  return sql`
    WITH saved AS (UPDATE outbox_mark SET position = ${mark}::bigint WHERE position < ${mark}::bigint),
      done AS (DELETE FROM outbox_again WHERE position = ANY(${repeated}::bigint[]))
    SELECT outbox_mark.position AS mark, EXISTS (SELECT FROM outbox_again WHERE position <> ALL(${repeated}::bigint[])) AS has_repeats, next.*
    FROM outbox_mark LEFT JOIN LATERAL (
      SELECT ${COLUMNS} FROM outbox WHERE position > greatest(outbox_mark.position, ${seen}::bigint) ORDER BY position LIMIT ${BATCH}
    ) next ON true ORDER BY next.position`;
}

const GAPS = rowset<Progress['gaps'][number]>('gap', { first: ['bigint', (gap) => gap.first], last: ['bigint', (gap) => gap.last] });

/** All of them, because what was read before may follow upon any. Primary key. */
function rowsBetween(gaps: Progress['gaps']): Statement {
  return sql`SELECT ${COLUMNS} FROM ${GAPS(gaps)} JOIN outbox ON position BETWEEN first AND last ORDER BY position`;
}

function repeatedRows(leader: Queryable): Promise<Row[]> {
  return leader.query<Row>(sql`SELECT ${COLUMNS} FROM outbox JOIN outbox_again USING (position) ORDER BY position LIMIT ${BATCH}`);
}

/** Whoever writes events holds this lock from before the first position to the end of the transaction. */
const WRITING = sql`
  SELECT virtualtransaction AS transaction FROM pg_locks WHERE locktype = 'relation' AND relation = 'outbox'::regclass
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND mode = 'RowExclusiveLock'`;

/** What was under way is published again: the broker drops what it had stored. */
async function unlessLost(work: Promise<void>, lost: AbortSignal): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const tell = () => reject(new Error('the connection to the broker was lost'));
  lost.addEventListener('abort', tell, { once: true });
  work.catch(() => {}); // it may fail later, when nobody waits for it any more
  try {
    await Promise.race([work, promise]);
  } finally {
    lost.removeEventListener('abort', tell);
  }
}

/** One atomic batch; single publications of a few, or when the batch is refused, because one repeated id refuses all of it. */
async function publish(js: JetStreamClient, service: string, rows: Row[], lost: AbortSignal): Promise<void> {
  if (rows.length >= FEWEST_IN_BATCH) {
    try {
      return await publishBatch(js, service, rows);
    } catch (error) {
      if (!(error instanceof JetStreamApiError) && !/batch/i.test(String(error))) throw error;
    }
  }
  // One after the other: a failure must not leave a later event of an aggregate published without an earlier one.
  for (const row of rows) {
    lost.throwIfAborted();
    await js.publish(row.subject, row.body, { msgID: row.event_id, headers: eventHeaders(service, row), timeout: PUBLISH_TIMEOUT_MS });
  }
}

async function publishBatch(js: JetStreamClient, service: string, rows: Row[]): Promise<void> {
  const [first, ...rest] = rows as [Row, ...Row[]];
  const last = rest.pop() as Row;
  const batch = await js.startBatch(first.subject, first.body, { headers: eventHeaders(service, first), timeout: PUBLISH_TIMEOUT_MS });
  for (const row of rest) batch.add(row.subject, row.body, { headers: eventHeaders(service, row) });
  await batch.commit(last.subject, last.body, { headers: eventHeaders(service, last), timeout: PUBLISH_TIMEOUT_MS });
}

/** CloudEvents 1.0 attributes in binary mode, and what JetStream needs. `Nats-Msg-Id` stands here because a batch ignores `msgID`. */
function eventHeaders(service: string, row: Row): MessageHeaders {
  return new MessageHeaders({
    'Nats-Msg-Id': row.event_id,
    'ce-specversion': '1.0',
    'ce-id': row.event_id,
    'ce-type': row.type,
    'ce-source': `/millrace/${service}`,
    'ce-subject': row.aggregate_id,
    'ce-time': row.create_time.toISOString(),
    'content-type': 'application/json',
    'millrace-version': String(row.aggregate_version),
    ...(row.traceparent !== null && { traceparent: row.traceparent }),
  });
}
