// The database in the words of this service: queueing, claiming and settling of messages.

import { createHash } from 'node:crypto';
import { type Database, sql, type Tx } from '@millrace/chassis/db';
import { appendEvents } from '@millrace/chassis/outbox';
import { type Channel, decide, type Details, type Fact, type Kind, type Message, type Standing, type Step } from './notification.ts';
import type { OrderView } from './templates/render.ts';
import { eventOf } from './wire.ts';

/** Longer than rendering, a provider call and the report of its outcome take together; then a look-up says what happened. */
const LEASE_MS = 30_000;

export function createStore(db: Database) {
  return {
    /** Queues what is not queued yet. In the order of the keys, so that overlapping batches of two instances can't deadlock. */
    async queue(tx: Tx, messages: Message[]): Promise<void> {
      const rows = [...new Map(messages.map((message) => [message.dedupeKey, message])).values()].sort((a, b) => (a.dedupeKey < b.dedupeKey ? -1 : 1));
      if (rows.length === 0) return;
      // notification_dedupe_key_key and contact_pkey. A buyer who is known to have no phone gets no row for a text message.
      await tx.query(sql`
        INSERT INTO notification (notification_id, dedupe_key, order_id, kind, channel, recipient, details)
        SELECT m.notification_id, m.dedupe_key, m.order_id, m.kind, m.channel, m.recipient, m.details
        FROM unnest(${rows.map((m) => idOf(m.dedupeKey))}::text[], ${rows.map((m) => m.dedupeKey)}::text[], ${rows.map((m) => m.orderId)}::text[], ${rows.map((m) => m.kind)}::text[],
          ${rows.map((m) => m.channel)}::text[], ${rows.map((m) => m.recipient)}::text[], ${rows.map((m) => JSON.stringify(m.details))}::jsonb[])
          AS m (notification_id, dedupe_key, order_id, kind, channel, recipient, details)
        LEFT JOIN contact c ON c.order_id = m.order_id
        WHERE m.channel <> 'sms' OR c.phone IS DISTINCT FROM ''
        ORDER BY m.dedupe_key
        ON CONFLICT (dedupe_key) DO NOTHING`);
    },

    /** Learns whom to tell about orders, and hurries on what waited for it; what a crossing transaction queues meanwhile looks again by itself. */
    async meet(tx: Tx, contacts: Contact[]): Promise<void> {
      const rows = [...new Map(contacts.map((contact) => [contact.orderId, contact])).values()].sort((a, b) => (a.orderId < b.orderId ? -1 : 1));
      // contact_pkey. The lines come with orders.placed, which need not come first.
      const met = await tx.query<{ order_id: string }>(sql`
        INSERT INTO contact AS c (order_id, customer_id, name, email, phone, lines, total, currency)
        SELECT * FROM unnest(${rows.map((c) => c.orderId)}::text[], ${rows.map((c) => c.customerId)}::text[], ${rows.map((c) => c.name)}::text[], ${rows.map((c) => c.email)}::text[],
          ${rows.map((c) => c.phone)}::text[], ${rows.map((c) => (c.order ? JSON.stringify(c.order.lines) : null))}::jsonb[], ${rows.map((c) => c.order?.total ?? null)}::bigint[],
          ${rows.map((c) => c.order?.currency ?? '')}::text[])
        ON CONFLICT (order_id) DO UPDATE SET lines = excluded.lines, total = excluded.total, currency = excluded.currency WHERE c.lines IS NULL AND excluded.lines IS NOT NULL
        RETURNING order_id`);
      if (met.length === 0) return;
      const ids = met.map((row) => row.order_id);
      // notification_order_id_idx; rows that are being claimed are left to their claimer.
      await tx.query(sql`
        WITH waiting AS (
          SELECT n.notification_id, n.channel = 'sms' AND c.phone = '' AS pointless FROM notification n JOIN contact c USING (order_id)
          WHERE n.order_id = ANY(${ids}::text[]) AND n.state = 'pending' AND NOT n.sending AND n.recipient = '' ORDER BY n.notification_id FOR UPDATE OF n SKIP LOCKED),
        dropped AS (DELETE FROM notification n USING waiting w WHERE n.notification_id = w.notification_id AND w.pointless)
        UPDATE notification n SET due_time = now() FROM waiting w WHERE n.notification_id = w.notification_id AND NOT w.pointless AND n.due_time > now()`);
    },

    /** Takes messages that are due and marks them as being sent, before anybody calls the provider. */
    async claimDue(channel: Channel, limit: number): Promise<Due[]> {
      const claimedAt = performance.now();
      // notification_due, then contact_pkey and preferences_pkey.
      const rows = await db.query<DueRow>(sql`
        WITH due AS (
          SELECT n.notification_id, c.order_id IS NOT NULL AS known, c.name, c.email, c.phone, c.lines, c.total, c.currency, p.email_enabled, p.sms_enabled, p.locale
          FROM notification n LEFT JOIN contact c ON c.order_id = n.order_id LEFT JOIN preferences p ON p.customer_id = c.customer_id
          WHERE n.state = 'pending' AND n.channel = ${channel} AND NOT n.sending AND n.due_time <= now()
          ORDER BY n.due_time LIMIT ${limit} FOR UPDATE OF n SKIP LOCKED)
        UPDATE notification n SET sending = true, sending_time = now(), attempts = n.attempts + 1, due_time = now() + ${LEASE_MS} * interval '1 ms',
          resend_time = now() + ${LEASE_MS} * interval '1 ms', recipient = CASE WHEN n.recipient <> '' THEN n.recipient WHEN n.channel = 'email' THEN coalesce(due.email, '') ELSE coalesce(due.phone, '') END
        FROM due WHERE n.notification_id = due.notification_id
        RETURNING n.notification_id, n.order_id, n.kind, n.channel, n.recipient, n.details, n.attempts, n.sending_time, (extract(epoch FROM now() - n.create_time) * 1000)::float8 AS age_ms, 0::float8 AS doubt_ms, 0::float8 AS lag_ms,
          due.known, due.name, due.lines, due.total, due.currency, due.email_enabled, due.sms_enabled, due.locale`);
      return rows.map((row) => dueOf(row, claimedAt));
    },

    /** Takes messages whose sending ended without an answer, or whose sender died, to look them up. */
    async claimDoubtful(channel: Channel, limit: number): Promise<Due[]> {
      const claimedAt = performance.now();
      const rows = await db.query<DueRow>(sql`
        WITH due AS (
          SELECT n.notification_id, c.order_id IS NOT NULL AS known, c.name, c.lines, c.total, c.currency, p.email_enabled, p.sms_enabled, p.locale
          FROM notification n LEFT JOIN contact c ON c.order_id = n.order_id LEFT JOIN preferences p ON p.customer_id = c.customer_id
          WHERE n.state = 'pending' AND n.channel = ${channel} AND n.sending AND n.due_time <= now()
          ORDER BY n.due_time LIMIT ${limit} FOR UPDATE OF n SKIP LOCKED)
        UPDATE notification n SET due_time = now() + ${LEASE_MS} * interval '1 ms'
        FROM due WHERE n.notification_id = due.notification_id
        RETURNING n.notification_id, n.order_id, n.kind, n.channel, n.recipient, n.details, n.attempts, n.sending_time, (extract(epoch FROM now() - n.create_time) * 1000)::float8 AS age_ms,
          (extract(epoch FROM now() - n.sending_time) * 1000)::float8 AS doubt_ms, (extract(epoch FROM n.resend_time - now()) * 1000)::float8 AS lag_ms,
          due.known, due.name, due.lines, due.total, due.currency, due.email_enabled, due.sms_enabled, due.locale`);
      return rows.map((row) => dueOf(row, claimedAt));
    },

    /** Settles what happened to messages, and says it: load, decide, save in one transaction, whoever reports. */
    async report(reports: Report[]): Promise<void> {
      if (reports.length > 0) await db.transaction((tx) => settle(tx, reports));
    },
  };
}

async function settle(tx: Tx, reports: Report[]): Promise<void> {
  // notification_pkey, in the order of the ids: reports about the same messages queue up instead of deadlocking.
  const rows = await tx.query<StandingRow>(sql`
    SELECT notification_id, order_id, kind, channel, state, version, attempts, sending, provider_message_id, last_error, subject FROM notification
    WHERE notification_id = ANY(${reports.map((report) => report.notificationId)}::text[]) ORDER BY notification_id FOR UPDATE`);
  const known = new Map(rows.map((row) => [row.notification_id, row]));
  const changed = new Map<string, StandingRow & { pause_ms: number; lag_ms: number | null }>();
  const events = [];
  for (const { notificationId, fact, subject } of reports) {
    const row = changed.get(notificationId) ?? known.get(notificationId);
    const step = row && (decide(row, fact) ?? lateSubject(row, subject));
    if (!row || !step) continue;
    const error = fact.type === 'bounced' ? `came back: ${fact.bounceType}` : step.error;
    const { said, state, version, attempts, sending } = step;
    const next = {
      ...row,
      state,
      version,
      attempts,
      sending,
      pause_ms: step.pauseMs,
      lag_ms: step.lagMs ?? null,
      subject: subject || row.subject,
      last_error: error || row.last_error,
      provider_message_id: row.provider_message_id || ('providerMessageId' in fact ? fact.providerMessageId : ''),
    };
    changed.set(notificationId, next);
    const about = { notificationId, orderId: row.order_id, kind: row.kind, channel: row.channel, providerMessageId: next.provider_message_id, error, bounceType: fact.type === 'bounced' ? fact.bounceType : '' };
    events.push(...said.map((item) => eventOf(item, about)));
  }
  if (changed.size === 0) return;
  const next = [...changed.values()];
  await tx.query(sql`
    UPDATE notification n SET state = c.state, version = c.version, attempts = c.attempts, sending = c.sending, provider_message_id = c.provider_message_id, last_error = c.last_error,
      subject = c.subject, due_time = now() + c.pause_ms * interval '1 ms',
      resend_time = coalesce(now() + c.lag_ms * interval '1 ms', n.resend_time), send_time = CASE WHEN c.state IN ('sent', 'delivered', 'bounced') THEN coalesce(n.send_time, now()) END
    FROM unnest(${next.map((row) => row.notification_id)}::text[], ${next.map((row) => row.state)}::text[], ${next.map((row) => row.version)}::int[], ${next.map((row) => row.attempts)}::int[],
      ${next.map((row) => row.sending)}::bool[], ${next.map((row) => row.provider_message_id)}::text[], ${next.map((row) => row.last_error)}::text[], ${next.map((row) => row.subject)}::text[],
      ${next.map((row) => row.pause_ms)}::float8[], ${next.map((row) => row.lag_ms)}::float8[])
      AS c (notification_id, state, version, attempts, sending, provider_message_id, last_error, subject, pause_ms, lag_ms)
    WHERE n.notification_id = c.notification_id`);
  await appendEvents(tx, events);
}

/** A delivery may be reported before our own call is answered: then only the subject is news. */
function lateSubject(row: StandingRow, subject: string | undefined): Step | undefined {
  return subject && row.subject === '' && row.state !== 'pending' ? { ...row, pauseMs: 0, error: '', said: [] } : undefined;
}

/** The same key makes the same id, also in a database that was restored and hears everything again: look-ups still find what was sent. */
export function idOf(dedupeKey: string): string {
  return `ntf_${createHash('sha256').update(dedupeKey).digest('hex').slice(0, 32)}`;
}

function dueOf(row: DueRow, claimedAt: number): Due {
  const wanted = row.channel === 'email' ? row.email_enabled : row.sms_enabled;
  return {
    notificationId: row.notification_id,
    orderId: row.order_id,
    kind: row.kind,
    channel: row.channel,
    recipient: row.recipient,
    details: row.details,
    attempt: row.attempts,
    ageMs: row.age_ms,
    sendingTime: row.sending_time,
    doubtMs: row.doubt_ms,
    lagMs: row.lag_ms,
    claimedAt,
    known: row.known,
    wanted: wanted ?? true,
    locale: row.locale ?? '',
    customer: row.name ?? '',
    ...(row.lines && row.total !== null ? { order: { lines: row.lines, total: String(row.total), currency: row.currency ?? '' } } : {}),
  };
}

export type Store = ReturnType<typeof createStore>;
export type Contact = { orderId: string; customerId: string; name: string; email: string; phone: string; order?: OrderView };
export type Report = { notificationId: string; fact: Fact; subject?: string };

/** A message with all that is needed to write it. `claimedAt` is on the process's monotonic clock. */
export type Due = {
  notificationId: string;
  orderId: string;
  kind: Kind;
  channel: Channel;
  recipient: string;
  details: Details;
  attempt: number;
  ageMs: number;
  sendingTime: Date;
  /** Since it was last tried. */
  doubtMs: number;
  /** How long "not found" does not mean "not sent" yet. */
  lagMs: number;
  claimedAt: number;
  known: boolean;
  wanted: boolean;
  locale: string;
  customer: string;
  order?: OrderView;
};

type StandingRow = Standing & { notification_id: string; order_id: string; kind: Kind; channel: Channel; provider_message_id: string; last_error: string; subject: string };
type DueRow = {
  notification_id: string;
  order_id: string;
  kind: Kind;
  channel: Channel;
  recipient: string;
  details: Details;
  attempts: number;
  sending_time: Date;
  age_ms: number;
  doubt_ms: number;
  lag_ms: number;
  known: boolean;
  name: string | null;
  lines: OrderView['lines'] | null;
  total: bigint | null;
  currency: string | null;
  email_enabled: boolean | null;
  sms_enabled: boolean | null;
  locale: string | null;
};
