// Reads the messages of each (order, kind, channel) as notification has them and as the providers have taken them.
import { type Database, bytesOf } from './database.ts';
import { ADMIN_KINDS, judgeMessage } from './messages.ts';
import { MARK, createMessageBook, hashOfKey } from './messages-book.ts';
import { messageRows } from './provider.ts';
import type { Tally } from './report.ts';
import { type World, isYoung, windowValues, young } from './window.ts';

const KEY = `(translate(order_id, ' ', '_') || '/' || kind || '/' || channel)`;
const KEY_HASH = `substring(decode(md5(${KEY}), 'hex') FOR 8)`;
const FLAG = { own: 1, sent: 2, doubtful: 4, young: 8, recent: 16, sms: 32, admins: 64 } as const;

// Of each message 8 bytes of its key's hash and 4 of flags, in 256 rows: sorting two million keys as text would cost more than all else here.
const MESSAGES = `
  SELECT string_agg(hash || int4send(flags), ''::bytea) FROM (
    SELECT ${KEY_HASH} AS hash, (dedupe_key NOT LIKE 'resend:%')::int * ${FLAG.own} + (state IN ('sent', 'delivered', 'bounced'))::int * ${FLAG.sent}
      + (sending OR (state = 'failed' AND attempts > 0))::int * ${FLAG.doubtful} + coalesce(${young('greatest(create_time, sending_time, send_time)')}, false)::int * ${FLAG.young}
      + (create_time >= $2::timestamptz)::int * ${FLAG.recent} + (channel = 'sms')::int * ${FLAG.sms} + (kind IN (${ADMIN_KINDS.map((kind) => `'${kind}'`).join(', ')}))::int * ${FLAG.admins} AS flags
    FROM notification) messages GROUP BY get_byte(hash, 0)`;
const MESSAGE_BYTES = 12;
const GROUPS_AT_A_TIME = 16;
const NAMED = `SELECT DISTINCT ${KEY} FROM notification WHERE ${KEY_HASH} = ANY(SELECT decode(unnest($1::text[]), 'hex'))`;
/** Offenders that are looked up by name. */
const MAX_NAMED = 10;

type LedgerName = 'mails' | 'texts';

export async function checkMessages({ window, databases, sandbox, have }: World, tally: Tally): Promise<void> {
  if (!have.has('notification')) return;
  const book = createMessageBook();
  for await (const batch of databases.notification.rows(MESSAGES, windowValues(window), GROUPS_AT_A_TIME)) {
    for (const [packed] of batch) {
      const bytes = bytesOf(packed);
      for (let at = 0; at < bytes.length; at += MESSAGE_BYTES) {
        const flags = bytes.readInt32BE(at + 8);
        const is = (flag: number) => (flags & flag) !== 0;
        const marks = (is(FLAG.young) ? MARK.moving : 0) | (is(FLAG.recent) ? MARK.recent : 0) | (is(FLAG.sms) ? MARK.sms : 0) | (is(FLAG.admins) ? MARK.admins : 0);
        book.row(bytes, at, { isOwn: is(FLAG.own), isSent: is(FLAG.sent), isDoubtful: is(FLAG.doubtful) }, marks);
      }
    }
  }
  const read: LedgerName[] = [];
  if (sandbox === undefined) tally.note('I9', 'the providers of mails and text messages are real ones: only our own rows were checked');
  for (const source of ['mails', 'texts'] as const) {
    if (sandbox === undefined || !have.has(source)) continue;
    read.push(source);
    for await (const { time, key } of messageRows(sandbox, source)) book.delivered(key, (isYoung(time, window) ? MARK.moving : 0) | (source === 'texts' ? MARK.sms : 0) | (isAdmins(key) ? MARK.admins : 0));
  }
  const bad: { hash: string; problem: string }[] = [];
  for (const { hash, marks, delivered, ...counted } of book.all()) {
    if (window.since && (marks & MARK.recent) === 0) continue;
    tally.checked('I9');
    const facts = { ...counted, delivered: read.includes(marks & MARK.sms ? 'texts' : 'mails') ? delivered : undefined, forAdmins: (marks & MARK.admins) !== 0 };
    for (const problem of judgeMessage(facts)) bad.push({ hash: hash(), problem });
  }
  const names = await namesOf(bad.slice(0, MAX_NAMED).map(({ hash }) => hash), databases.notification, sandbox, read);
  for (const { hash, problem } of bad) tally.violated({ invariant: 'I9', what: names.get(hash) ?? 'a message', problem });
}

const isAdmins = (key: string): boolean => ADMIN_KINDS.some((kind) => key.includes(`/${kind}/`));

/** By rows of ours, and what has none by the ledgers, which are read once more. */
async function namesOf(hashes: string[], database: Database, sandbox: string | undefined, read: LedgerName[]): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  if (hashes.length === 0) return names;
  const note = (key: string) => void names.set(hashOfKey(key).toString('hex'), key);
  for (const [key] of await database.few(NAMED, [hashes])) note(key ?? '');
  for (const source of read) {
    if (sandbox === undefined || hashes.every((hash) => names.has(hash))) continue;
    for await (const { key } of messageRows(sandbox, source)) if (hashes.includes(hashOfKey(key).toString('hex'))) note(key);
  }
  return names;
}
