// What happened to messages, into rows: decide, save, tell. Senders, look-ups and webhooks all come through here.
import { type Database, type Queryable, rowset, sql, type Statement, type Tx } from '@millrace/chassis/database/db';
import { type OutgoingEvent, outboxInsert } from '@millrace/chassis/events/outbox';
import { type Channel, decide, type Fact, type Kind, type Standing, type Step } from './notification.ts';
import { eventOf } from './wire.ts';

/** `seen`: the message as the reporter has claimed it. */
export type Report = { notificationId: string; fact: Fact; subject?: string; seen?: Seen };

/** A message as it stood when it was read. `stamp`: Postgres's own mark of that version of the row (xmin). */
export type Seen = Standing & { notification_id: string; order_id: string; kind: Kind; channel: Channel; provider_message_id: string; last_error: string; subject: string; stamp: string };

/** `queued`: it was pending before. */
type Change = { row: Seen; queued: boolean; pauseMs: number; lagMs: number | null; said: OutgoingEvent[] };

const SEEN = sql`notification_id, order_id, kind, channel, state, version, attempts, sending, provider_message_id, last_error, subject, xmin::text AS stamp`;

/**
 * Without a lock: decided on what was seen, and saved with its events where nobody has changed the row since. Where somebody has (a delivery
 * that is reported before our own call is answered), it is settled anew under the lock.
 */
export async function settle(db: Database, reports: Report[]): Promise<void> {
  if (reports.length === 0) return;
  const seen = new Map(reports.flatMap((report) => (report.seen ? [[report.notificationId, report.seen]] : [])));
  const unseen = reports.map(({ notificationId }) => notificationId).filter((id) => !seen.has(id));
  for (const row of await read(db, unseen)) seen.set(row.notification_id, row);
  const changes = decideAll(seen, reports);
  const saved = await save(db, changes, true);
  if (changes.some(({ said }) => said.length > 0)) db.wroteEvents();
  const overtaken = new Set(changes.map(({ row }) => row.notification_id).filter((id) => !saved.has(id)));
  if (overtaken.size > 0) await db.transaction((tx) => settleLocked(tx, reports.filter(({ notificationId }) => overtaken.has(notificationId))));
}

async function settleLocked(tx: Tx, reports: Report[]): Promise<void> {
  // notification_pkey, in the order of the ids: reports about the same messages queue up instead of deadlocking.
  const rows = await tx.query<Seen>(sql`
    SELECT ${SEEN} FROM notification WHERE notification_id = ANY(${reports.map(({ notificationId }) => notificationId)}::text[]) ORDER BY notification_id FOR UPDATE`);
  const changes = decideAll(new Map(rows.map((row) => [row.notification_id, row])), reports);
  await save(tx, changes, false);
  if (changes.some(({ said }) => said.length > 0)) tx.writesEvents();
}

/** By notification_pkey. */
async function read(db: Queryable, ids: string[]): Promise<Seen[]> {
  return ids.length === 0 ? [] : db.query<Seen>(sql`SELECT ${SEEN} FROM notification WHERE notification_id = ANY(${ids}::text[])`);
}

/** One change a message, of all that is reported about it, in order. */
function decideAll(seen: ReadonlyMap<string, Seen>, reports: Report[]): Change[] {
  const changes = new Map<string, Change>();
  for (const { notificationId, fact, subject } of reports) {
    const before = changes.get(notificationId);
    const row = before?.row ?? seen.get(notificationId);
    const step = row && (decide(standingOf(row), fact) ?? lateSubject(row, subject));
    if (!row || !step) continue;
    const error = fact.type === 'bounced' ? `came back: ${fact.bounceType}` : step.error;
    const { said, state, version, attempts, sending, pauseMs, lagMs = null } = step;
    const { notification_id, order_id, kind, channel, stamp } = row;
    const next = {
      notification_id, order_id, kind, channel, stamp, state, version, attempts, sending,
      subject: subject || row.subject,
      last_error: error || row.last_error,
      provider_message_id: row.provider_message_id || ('providerMessageId' in fact ? fact.providerMessageId : ''),
    };
    const about = { notificationId, orderId: order_id, kind, channel, providerMessageId: next.provider_message_id, error, bounceType: fact.type === 'bounced' ? fact.bounceType : '' };
    changes.set(notificationId, { row: next, queued: before?.queued ?? row.state === 'pending', pauseMs, lagMs, said: [...(before?.said ?? []), ...said.map((item) => eventOf(item, about))] });
  }
  return [...changes.values()];
}

/** A delivery may be reported before our own call is answered: then only the subject is news. */
function lateSubject(row: Seen, subject: string | undefined): Step | undefined {
  return subject && row.subject === '' && row.state !== 'pending' ? { ...standingOf(row), pauseMs: 0, error: '', said: [] } : undefined;
}

const standingOf = ({ state, version, attempts, sending }: Seen): Standing => ({ state, version, attempts, sending });

const CHANGES = rowset<Change>('c', {
  notification_id: ['text', ({ row }) => row.notification_id],
  state: ['text', ({ row }) => row.state],
  version: ['int', ({ row }) => row.version],
  attempts: ['int', ({ row }) => row.attempts],
  sending: ['boolean', ({ row }) => row.sending],
  provider_message_id: ['text', ({ row }) => row.provider_message_id],
  last_error: ['text', ({ row }) => row.last_error],
  subject: ['text', ({ row }) => row.subject],
  pause_ms: ['float8', ({ pauseMs }) => pauseMs],
  lag_ms: ['float8', ({ lagMs }) => lagMs],
  stamp: ['text', ({ row }) => row.stamp],
});

/** What has come to an end leaves the queue, what has not gets its new time there. By send_queue_pkey. */
function requeued(changes: Change[]): Statement {
  const queued = changes.filter(({ queued }) => queued);
  const done = sql`, done AS (DELETE FROM send_queue WHERE notification_id = ANY(ARRAY(SELECT notification_id FROM saved WHERE state <> 'pending')))`;
  const postponed = sql`, postponed AS (
      UPDATE send_queue q SET doubtful = s.sending, due_time = now() + s.pause_ms * interval '1 ms'
      FROM saved s WHERE q.notification_id = s.notification_id AND q.notification_id = ANY(ARRAY(SELECT notification_id FROM saved WHERE state = 'pending')))`;
  return sql`${queued.some(({ row }) => row.state !== 'pending') ? done : sql``}${queued.some(({ row }) => row.state === 'pending') ? postponed : sql``}`;
}

/** Answers the ids that were saved; `asSeen` leaves those alone that have another stamp by now. By notification_pkey, in the order of the ids. */
async function save(db: Queryable, changes: Change[], asSeen: boolean): Promise<Set<string>> {
  if (changes.length === 0) return new Set();
  const saved = await db.query<{ notification_id: string }>(sql`
    WITH saved AS (
      UPDATE notification n SET state = c.state, version = c.version, attempts = c.attempts, sending = c.sending, provider_message_id = c.provider_message_id, last_error = c.last_error,
        subject = c.subject, resend_time = coalesce(now() + c.lag_ms * interval '1 ms', n.resend_time), send_time = CASE WHEN c.state IN ('sent', 'delivered', 'bounced') THEN coalesce(n.send_time, now()) END
      FROM (SELECT * FROM ${CHANGES(changes)} ORDER BY notification_id) AS c
      WHERE n.notification_id = c.notification_id AND (NOT ${asSeen} OR n.xmin::text = c.stamp)
      RETURNING n.notification_id, c.state, c.sending, c.pause_ms
    ), said AS (${outboxInsert(changes.flatMap(({ said }) => said), sql`SELECT notification_id FROM saved`)})
    ${requeued(changes)}
    SELECT notification_id FROM saved`);
  return new Set(saved.map((row) => row.notification_id));
}
