// Publishes the outbox: in order, in atomic batches, at least once. A broker that is away only delays it.

import { type MsgHdrs, MsgHdrsImpl } from '@nats-io/transport-node';
import { JetStreamApiError, type JetStreamClient } from '@nats-io/jetstream';
import { advisoryLock } from './advisory-lock.ts';
import { crashPoint } from './crash-point.ts';
import { sql, type Database, type Queryable } from './db.ts';
import type { Log } from './log.ts';
import { createLoop, restAfter, type Loop } from './loop.ts';

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
};

/**
 * The loop that publishes. Whoever holds the service's advisory lock publishes, so that two instances can't break the order.
 * A row is marked only after the broker has stored it, by the statement that looks for the next ones: a kill at any point repeats
 * a publication and never loses one.
 */
export function createRelay({ service, db, log, broker, lost }: RelayOptions): Relay {
  // A mark that a crash of the database takes away repeats a publication; waiting for the disk each time would cost more than the mark.
  const leadership = advisoryLock(db, 'relay', sql`SET synchronous_commit = off`);
  const loop = createLoop({ name: 'relay', log, pollMs: POLL_MS, rest: restAfter, round: publishNext });
  let stored: bigint[] = [];
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
    if (js === undefined || (loss.aborted && stored.length === 0)) return 0;
    const leader = await leadership.hold();
    if (leader === undefined) return 0;
    const rows = await nextRows(leader, stored);
    stored = [];
    if (rows.length === 0 || loss.aborted) return 0;
    await unlessLost(publish(js, service, rows, loss), loss);
    crashPoint('relay.published');
    stored = rows.map((row) => row.position);
    return rows.length;
  }
}

/**
 * Marks what is stored, and answers what is to be published next. Index outbox_unpublished for both. Unpublished rows, not rows after
 * a position: positions are not in commit order.
 */
async function nextRows(leader: Queryable, stored: bigint[]): Promise<Row[]> {
  return leader.query<Row>(sql`
    WITH marked AS (UPDATE outbox SET publish_time = now() WHERE position = ANY(${stored}::bigint[]) AND publish_time IS NULL)
    SELECT position, event_id, subject, type, aggregate_id, aggregate_version, body, traceparent, create_time
    FROM outbox WHERE publish_time IS NULL AND position <> ALL(${stored}::bigint[]) ORDER BY position LIMIT ${BATCH}`);
}

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

/**
 * CloudEvents 1.0 attributes in binary mode, and what JetStream needs. `Nats-Msg-Id` stands here because a batch ignores `msgID`.
 * Of a record, unchecked: ids have a pattern. Headers that are set one by one are each compared with all others, and spelled out a second time.
 */
function eventHeaders(service: string, row: Row): MsgHdrs {
  return MsgHdrsImpl.fromRecord({
    'Nats-Msg-Id': [row.event_id],
    'ce-specversion': ['1.0'],
    'ce-id': [row.event_id],
    'ce-type': [row.type],
    'ce-source': [`/millrace/${service}`],
    'ce-subject': [row.aggregate_id],
    'ce-time': [row.create_time.toISOString()],
    'content-type': ['application/json'],
    'millrace-version': [String(row.aggregate_version)],
    ...(row.traceparent !== null && { traceparent: [row.traceparent] }),
  });
}
