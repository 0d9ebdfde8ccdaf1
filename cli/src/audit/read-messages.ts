// Reads the messages of each (order, kind, channel) as notification has them and as the providers have taken them.
import type { Database } from './database.ts';
import { ADMIN_KINDS, judgeMessage } from './messages.ts';
import { MARK, createMessageBook } from './messages-book.ts';
import { messageRows } from './provider.ts';
import type { Tally } from './report.ts';
import { type Hash, hashAt, hashOf, signed } from './text-hash.ts';
import { type World, isYoung, windowValues, young } from './window.ts';

// Two hashes over each other: to put the texts together first costs more than to hash them.
const KEY_HASH = `(hashtextextended(order_id, 0) # hashtextextended(kind || '/' || channel, 0))`;
const FLAG = { own: 1, sent: 2, doubtful: 4, young: 8, recent: 16, sms: 32, admins: 64 } as const;

// Of each message 8 bytes of its key's hash and 8 of flags.
const MESSAGES = (piece: string): string => `
  SELECT string_agg(int8send(${KEY_HASH}) || int8send((NOT starts_with(idempotency_key, 'resend:'))::int::bigint * ${FLAG.own} + (state IN ('sent', 'delivered', 'bounced'))::int * ${FLAG.sent}
      + (sending OR (state = 'failed' AND attempts > 0))::int * ${FLAG.doubtful} + coalesce(${young('greatest(create_time, sending_time, send_time)')}, false)::int * ${FLAG.young}
      + (create_time >= $2::timestamptz)::int * ${FLAG.recent} + (channel = 'sms')::int * ${FLAG.sms} + (kind IN (${ADMIN_KINDS.map((kind) => `'${kind}'`).join(', ')}))::int * ${FLAG.admins}), ''::bytea)
  FROM notification WHERE ${piece}`;
const MESSAGE_BYTES = 16;
const NAMED = `SELECT DISTINCT ${KEY_HASH}, order_id || '/' || kind || '/' || channel FROM notification WHERE ${KEY_HASH} = ANY($1::bigint[])`;
/** Offenders that are looked up by name. */
const MAX_NAMED = 10;

type LedgerName = 'mails' | 'texts';

export async function checkMessages({ window, databases, sandbox, have }: World, tally: Tally): Promise<void> {
  if (!have.has('notification')) return;
  const book = createMessageBook();
  for await (const rows of databases.notification.pieces('notification', MESSAGES, windowValues(window))) {
    for (let at = 0; at < rows.length; at += MESSAGE_BYTES) {
      const flags = rows.readInt32BE(at + 12);
      const is = (flag: number) => (flags & flag) !== 0;
      const marks = (is(FLAG.young) ? MARK.moving : 0) | (is(FLAG.recent) ? MARK.recent : 0) | (is(FLAG.sms) ? MARK.sms : 0) | (is(FLAG.admins) ? MARK.admins : 0);
      book.row(hashAt(rows, at), { isOwn: is(FLAG.own), isSent: is(FLAG.sent), isDoubtful: is(FLAG.doubtful) }, marks);
    }
  }
  const read: LedgerName[] = [];
  if (sandbox === undefined) tally.note('I9', 'the providers of mails and text messages are real ones: only our own rows were checked');
  for (const source of ['mails', 'texts'] as const) {
    if (sandbox === undefined || !have.has(source)) continue;
    read.push(source);
    const keyHash = createKeyHash(source);
    for await (const rows of messageRows(sandbox, source)) {
      for (const { time, order_id: orderId, kind } of rows) {
        const isAdmins = ADMIN_KINDS.includes(kind ?? '');
        book.delivered(keyHash(orderId ?? '', kind ?? ''), (isYoung(time, window) ? MARK.moving : 0) | (source === 'texts' ? MARK.sms : 0) | (isAdmins ? MARK.admins : 0));
      }
    }
  }
  const bad: { hash: string; problem: string }[] = [];
  for (const { hash, marks, delivered, ...counted } of book.all()) {
    if (window.since && (marks & MARK.recent) === 0) continue;
    tally.checked('I9');
    const facts = { ...counted, delivered: read.includes(marks & MARK.sms ? 'texts' : 'mails') ? delivered : undefined, forAdmins: (marks & MARK.admins) !== 0 };
    for (const problem of judgeMessage(facts)) bad.push({ hash: String(signed(hash())), problem });
  }
  const names = await namesOf(bad.slice(0, MAX_NAMED).map(({ hash }) => hash), databases.notification, sandbox, read);
  for (const { hash, problem } of bad) tally.violated({ invariant: 'I9', what: names.get(hash) ?? 'a message', problem });
}

const CHANNEL = { mails: 'email', texts: 'sms' } as const;

/** The key of one message, as `KEY_HASH` has it. */
function createKeyHash(source: LedgerName): (orderId: string, kind: string) => Hash {
  const kinds = new Map<string, Hash>();
  return (orderId, kind) => {
    const [one, other] = [hashOf(orderId), kinds.get(kind) ?? hashOf(`${kind}/${CHANNEL[source]}`)];
    kinds.set(kind, other);
    return { high: (one.high ^ other.high) >>> 0, low: (one.low ^ other.low) >>> 0 };
  };
}

/** By rows of ours, and what has none by the ledgers, which are read once more. */
async function namesOf(hashes: string[], database: Database, sandbox: string | undefined, read: LedgerName[]): Promise<Map<string, string>> {
  if (hashes.length === 0) return new Map();
  const names = new Map((await database.few(NAMED, [hashes])).map(([hash, name]) => [hash ?? '', name ?? '']));
  for (const source of read) {
    if (sandbox === undefined || hashes.every((hash) => names.has(hash))) continue;
    const keyHash = createKeyHash(source);
    for await (const rows of messageRows(sandbox, source)) {
      for (const { order_id: orderId, kind } of rows) {
        const hash = String(signed(keyHash(orderId ?? '', kind ?? '')));
        if (hashes.includes(hash)) names.set(hash, `${orderId}/${kind}/${CHANNEL[source]}`);
      }
    }
  }
  return names;
}
