// The database in the words of this service: queueing, claiming and settling of messages.

import { hash } from 'node:crypto';
import { type Database, rowset, sql, type Statement, type Tx } from '@millrace/chassis/database/db';
import { type Channel, type Details, type Kind, LAG_AFTER_CLAIM_MS, type Message } from './notification.ts';
import { type Report, type Seen, settle } from './settle.ts';
import type { OrderView } from './templates/render.ts';

/** Longer than rendering, a provider call and the report of its outcome take together; then a look-up says what happened. */
const LEASE_MS = 30_000;

/** By send_queue_pkey. */
const LEASE = sql`UPDATE send_queue SET doubtful = true, due_time = now() + ${LEASE_MS} * interval '1 ms' WHERE notification_id = ANY(ARRAY(SELECT notification_id FROM claimed))`;
/** What a claim reads of a message: what is to be said, and how it stands. By notification_pkey. */
const MESSAGE = sql`n.notification_id, n.order_id, n.kind, n.channel, n.recipient, n.details, n.sending_time, (extract(epoch FROM now() - n.create_time) * 1000)::float8 AS age_ms,
  n.state, n.version, n.attempts, n.sending, n.provider_message_id, n.last_error, n.subject, n.xmin::text AS stamp`;
/** A buyer's address on a message's channel, in a query of the contact. */
const ADDRESS = sql`CASE channel WHEN 'email' THEN email ELSE phone END`;
/** To whom: by contact_pkey and preferences_pkey, one by one, because a join could be planned as a reading of all contacts. */
const WITH_CUSTOMER = sql`
  SELECT n.*, c.order_id IS NOT NULL AS known, c.name, c.lines, c.total, c.currency, p.email_enabled, p.sms_enabled, p.locale
  FROM claimed n LEFT JOIN LATERAL (SELECT * FROM contact WHERE order_id = n.order_id OFFSET 0) c ON true
  LEFT JOIN LATERAL (SELECT * FROM preferences WHERE customer_id = c.customer_id OFFSET 0) p ON true`;

const MESSAGES = rowset<Message & { id: string }>('m', {
  notification_id: ['text', ({ id }) => id],
  idempotency_key: ['text', ({ idempotencyKey }) => idempotencyKey],
  order_id: ['text', ({ orderId }) => orderId],
  kind: ['text', ({ kind }) => kind],
  channel: ['text', ({ channel }) => channel],
  recipient: ['text', ({ recipient }) => recipient],
  details: ['jsonb', ({ details }) => details],
});

const COMPLETED = sql`DO UPDATE SET lines = excluded.lines, total = excluded.total, currency = excluded.currency WHERE c.lines IS NULL AND excluded.lines IS NOT NULL`;
const CONTACTS = rowset<Contact>('m', {
  order_id: ['text', ({ orderId }) => orderId],
  customer_id: ['text', ({ customerId }) => customerId],
  name: ['text', ({ name }) => name],
  email: ['text', ({ email }) => email],
  phone: ['text', ({ phone }) => phone],
  lines: ['jsonb', ({ order }) => order?.lines],
  total: ['bigint', ({ order }) => order && BigInt(order.total)],
  currency: ['text', ({ order }) => order?.currency ?? ''],
});

export function createStore(db: Database) {
  return {
    /**
     * Queues what is not queued yet; answers the channels that have more to send. In the order of the ids, so that overlapping batches of two
     * instances can't deadlock: the slower one fails, and finds the messages when its events are handled again.
     */
    async queue(tx: Tx, messages: Message[]): Promise<Channel[]> {
      const keyed = messages.map((message) => ({ ...message, id: idOf(message.idempotencyKey, message.orderId) }));
      const rows = [...new Map(keyed.map((message) => [message.id, message])).values()];
      if (rows.length === 0) return [];
      // notification_pkey, because the id is made of the key, and contact_pkey. A buyer who is known to have no phone gets no row for a text message.
      // The recipient, where it is known already: filled in later it changes the message's place in an index.
      return channels(tx, sql`
        WITH queued AS (
          INSERT INTO notification (notification_id, idempotency_key, order_id, kind, channel, recipient, details)
          SELECT m.notification_id, m.idempotency_key, m.order_id, m.kind, m.channel,
            CASE WHEN m.recipient <> '' THEN m.recipient ELSE coalesce((SELECT ${ADDRESS} FROM contact WHERE order_id = m.order_id), '') END, m.details
          FROM ${MESSAGES(rows)}
          WHERE (m.channel <> 'sms' OR m.recipient <> '' OR (SELECT phone FROM contact WHERE order_id = m.order_id) IS DISTINCT FROM '')
            AND NOT (SELECT EXISTS (SELECT FROM notification WHERE notification_id = m.notification_id))
          ORDER BY m.notification_id RETURNING notification_id, channel)
        INSERT INTO send_queue (notification_id, channel) SELECT notification_id, channel FROM queued RETURNING channel`);
    },

    /** Learns whom to tell about orders, and hurries on what waited for it, whose channels it answers; what a crossing transaction queues meanwhile looks again by itself. */
    async meet(tx: Tx, contacts: Contact[]): Promise<Channel[]> {
      const rows = [...new Map(contacts.map((contact) => [contact.orderId, contact])).values()];
      if (rows.length === 0) return [];
      // contact_pkey; the lines come with orders.placed, which need not come first. What comes without them has nothing to add to a known contact,
      // and must not lock it to find that out. Then notification_order_id_idx, not that of the recipients, which `length` keeps plans from;
      // rows that are being claimed are left to their claimer.
      return channels(tx, sql`
        WITH met AS (
          INSERT INTO contact AS c (order_id, customer_id, name, email, phone, lines, total, currency)
          SELECT * FROM ${CONTACTS(rows)} ORDER BY order_id
          ON CONFLICT (order_id) ${rows.some(({ order }) => order) ? COMPLETED : sql`DO NOTHING`}
          RETURNING order_id, phone),
        waiting AS (
          SELECT notification_id, channel = 'sms' AND (SELECT phone FROM met WHERE met.order_id = n.order_id) = '' AS pointless FROM notification n
          WHERE order_id = ANY(ARRAY(SELECT order_id FROM met)) AND state = 'pending' AND NOT sending AND length(recipient) = 0 FOR UPDATE SKIP LOCKED),
        dropped AS (DELETE FROM notification WHERE notification_id = ANY(ARRAY(SELECT notification_id FROM waiting WHERE pointless))),
        unqueued AS (DELETE FROM send_queue WHERE notification_id = ANY(ARRAY(SELECT notification_id FROM waiting WHERE pointless)))
        UPDATE send_queue SET due_time = now() WHERE notification_id = ANY(ARRAY(SELECT notification_id FROM waiting WHERE NOT pointless)) AND due_time > now() RETURNING channel`);
    },

    /**
     * Takes messages that are due and marks them as being sent, before anybody calls the provider. By notification_pkey. Their places in the queue
     * are not locked before: a message that somebody else has taken meanwhile says so itself. Whose message somebody is changing right now is left
     * to him: nobody is waited for, so in whatever order the rows are found there is no deadlock.
     */
    async claimDue(channel: Channel, limit: number): Promise<Due[]> {
      const claimedAt = performance.now();
      const rows = await db.query<DueRow>(sql`
        WITH due AS (${due(channel, false, limit)}),
        held AS (
          SELECT notification_id FROM notification WHERE notification_id = ANY(ARRAY(SELECT notification_id FROM due)) AND state = 'pending' AND NOT sending
          FOR UPDATE SKIP LOCKED),
        claimed AS (
          UPDATE notification n SET sending = true, sending_time = now(), attempts = n.attempts + 1, resend_time = now() + ${LAG_AFTER_CLAIM_MS} * interval '1 ms',
            recipient = CASE WHEN n.recipient <> '' THEN n.recipient ELSE coalesce((SELECT ${ADDRESS} FROM contact c WHERE c.order_id = n.order_id), '') END
          WHERE n.notification_id = ANY(ARRAY(SELECT notification_id FROM held))
          RETURNING ${MESSAGE}, 0::float8 AS doubt_ms, 0::float8 AS lag_ms),
        leased AS (${LEASE})
        ${WITH_CUSTOMER}`);
      return rows.map((row) => dueOf(row, claimedAt));
    },

    /**
     * Takes messages whose sending ended without an answer, or whose sender died, to look them up. Whose message somebody is changing right now
     * is left to him: he may be waiting for its place in the queue.
     */
    async claimDoubtful(channel: Channel, limit: number): Promise<Due[]> {
      const claimedAt = performance.now();
      const rows = await db.query<DueRow>(sql`
        WITH due AS (${due(channel, true, limit)} FOR UPDATE SKIP LOCKED),
        claimed AS (
          SELECT ${MESSAGE}, (extract(epoch FROM now() - n.sending_time) * 1000)::float8 AS doubt_ms, (extract(epoch FROM n.resend_time - now()) * 1000)::float8 AS lag_ms
          FROM notification n WHERE n.notification_id = ANY(ARRAY(SELECT notification_id FROM due)) FOR UPDATE SKIP LOCKED),
        leased AS (${LEASE})
        ${WITH_CUSTOMER}`);
      return rows.map((row) => dueOf(row, claimedAt));
    },

    /** Settles what happened to messages, and says it, whoever reports. */
    report: (reports: Report[]): Promise<void> => settle(db, reports),
  };
}

/** The longest due of a queue, by send_queue_channel_doubtful_due_time_idx. */
function due(channel: Channel, doubtful: boolean, limit: number): Statement {
  return sql`SELECT notification_id FROM send_queue WHERE channel = ${channel} AND doubtful = ${doubtful} AND due_time <= now() ORDER BY due_time LIMIT ${limit}`;
}

async function channels(tx: Tx, change: Statement): Promise<Channel[]> {
  return [...new Set((await tx.query<{ channel: Channel }>(change)).map((row) => row.channel))];
}

/**
 * The same key makes the same id, also in a database that was restored and hears everything again: look-ups still find what was sent. Begins
 * with the time of an order whose id has one, so that the messages of a moment stand side by side in the index.
 */
export function idOf(idempotencyKey: string, orderId: string): string {
  const time = ID_IN_TIME.exec(orderId)?.[1] ?? '';
  return `ntf_${time}${hash('sha256', idempotencyKey).slice(0, ID_LENGTH - time.length)}`;
}

const ID_LENGTH = 32;
const ID_IN_TIME = /^ord_([a-z2-7]{8})[a-z2-7]{20}$/;

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
    seen: row,
    ...(row.lines && row.total !== null ? { order: { lines: row.lines, total: String(row.total), currency: row.currency ?? '' } } : {}),
  };
}

export type Store = ReturnType<typeof createStore>;
export type Contact = { orderId: string; customerId: string; name: string; email: string; phone: string; order?: OrderView };

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
  /** How it stood after the claim. */
  seen: Seen;
};

type DueRow = Seen & {
  recipient: string;
  details: Details;
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
