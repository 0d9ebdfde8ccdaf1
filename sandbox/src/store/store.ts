// All records: the journal on disk, and in memory only where to find what. Records are never changed in place.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Bodies, type Body, type BodyPlace, openBodies } from './bodies.ts';
import { compact } from './compact.ts';
import { messageSids, stripeIds, uuids } from './ids.ts';
import { openJournal } from './journal.ts';
import { lockFolder } from './lock.ts';
import type { Charge, Dispute, EventRecord, Intent, Line, Mail, Refund, TextMessage } from './records.ts';
import { createMulti, createTable } from './table.ts';

/** A mail whose body is not written yet. */
export type NewMail = Omit<Mail, 'body'> & { body: Body };

export type Store = ReturnType<typeof openStore>;

const KEY_LIFETIME_MS = 24 * 3_600_000; // Stripe forgets idempotency keys after a day
const KEYS_BETWEEN_SWEEPS = 1000;

export function openStore(folder: string) {
  const unlock = claim(folder);
  try {
    const path = join(folder, 'journal.jsonl');
    compact(path);
    return open(path, openBodies(join(folder, 'bodies')), unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

function claim(folder: string): () => void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return lockFolder(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new Error(`SANDBOX_DATA ${folder} cannot be used: ${(error as Error).message}`, { cause: error });
  }
}

function open(path: string, bodies: Bodies, unlock: () => void) {
  const read = (offset: number) => journal.read(offset);
  const intents = createTable<Intent>(stripeIds('pi'), (line) => (line.intent ? [line.intent] : []), read);
  const charges = createTable<Charge>(stripeIds('ch'), (line) => (line.charge ? [line.charge] : []), read);
  const refunds = createTable<Refund>(stripeIds('re'), (line) => (line.refund ? [line.refund] : []), read);
  const disputes = createTable<Dispute>(stripeIds('dp'), (line) => (line.dispute ? [line.dispute] : []), read);
  const events = createTable<EventRecord>(stripeIds('evt'), (line) => line.events ?? [], read);
  const mails = createTable<Mail>(uuids(), (line) => (line.mail ? [line.mail] : []), read);
  const texts = createTable<TextMessage>(messageSids(), (line) => (line.text ? [line.text] : []), read);
  const tables = [intents, charges, refunds, disputes, events, mails, texts];

  const intentsByOrder = createMulti();
  const refundsByIntent = createMulti();
  const mailsBy = createMulti(); // `to=address` and `key=value` of the metadata
  const textsByTo = createMulti();
  const eventTypes: string[] = []; // by number, so that a list by type needs no reading
  const keys = new Map<string, number>(); // idempotency key → offset, oldest first
  const ledger: number[] = [];
  const inactive = new Set<string>(); // addresses with a hard bounce
  const unsettled = new Map<string, number>(); // intent or refund → due, milliseconds
  const outstanding = new Set<string>(); // webhooks not yet delivered
  const listeners: ((hook: string) => void)[] = [];
  let sinceSweep = 0;

  const owe = (hook: string) => {
    outstanding.add(hook);
    for (const listener of listeners) listener(hook);
  };

  const indexStripe = (line: Line, offset: number) => {
    const { intent, charge, refund, dispute } = line;
    if (intent) {
      intents.put(intent.id, offset, intent.created);
      if (intent.metadata['order_id']) intentsByOrder.add(intent.metadata['order_id'], intents.numberOf(intent.id));
      if (intent.settleAt === undefined) unsettled.delete(intent.id);
      else unsettled.set(intent.id, intent.settleAt);
    }
    if (charge) charges.put(charge.id, offset, charge.created);
    if (refund) {
      if (refunds.put(refund.id, offset, refund.created)) refundsByIntent.add(refund.intent, refunds.numberOf(refund.id));
      if (refund.settleAt === undefined) unsettled.delete(refund.id);
      else unsettled.set(refund.id, refund.settleAt);
    }
    if (dispute) disputes.put(dispute.id, offset, dispute.created);
    for (const event of line.events ?? []) {
      events.put(event.id, offset, Math.floor(line.at / 1000));
      eventTypes[events.numberOf(event.id)] = event.type;
      if (event.hook) owe(event.id);
    }
    if (line.ledger) ledger.push(offset);
    if (line.key) {
      keys.delete(line.key.key); // a reused, expired key is the youngest again
      keys.set(line.key.key, offset);
    }
    if (line.forget) keys.clear();
  };

  const index = (line: Line, offset: number) => {
    indexStripe(line, offset);
    const { mail, text } = line;
    if (mail) {
      const number = mails.put(mail.id, offset, mail.at) ? mails.numberOf(mail.id) : -1;
      if (number >= 0) {
        for (const address of mail.recipients) mailsBy.add(`to=${address}`, number);
        for (const [key, value] of Object.entries(mail.metadata)) mailsBy.add(`${key}=${value}`, number);
      }
      if (mail.bounce === 'HardBounce') for (const address of mail.recipients) if (bouncesHard(address)) inactive.add(address);
      if (mail.hook) owe(mail.id);
    }
    if (text) {
      if (texts.put(text.id, offset, text.at)) textsByTo.add(text.to, texts.numberOf(text.id));
      if (text.callback) for (const status of ['sent', text.status]) owe(`${text.id}:${status}`);
    }
    for (const hook of line.done ?? []) outstanding.delete(hook);
  };

  const journal = openJournal(path, index);

  const findKey = (key: string, now: number) => {
    const offset = keys.get(key);
    if (offset === undefined) return undefined;
    const line = journal.read(offset);
    return now - line.at < KEY_LIFETIME_MS ? line : undefined;
  };
  const sweepKeys = (now: number) => {
    for (const key of keys.keys()) {
      if (findKey(key, now)) return;
      keys.delete(key);
    }
  };

  /** Writes the lines, then makes them visible. Throws, with nothing changed, when the disk refuses. */
  const append = (...lines: Line[]): void => {
    try {
      const offsets = journal.append(lines);
      lines.forEach((line, i) => index(line, offsets[i] as number));
    } catch (error) {
      for (const table of tables) table.forgetUnwritten();
      throw error;
    }
    if (++sinceSweep >= KEYS_BETWEEN_SWEEPS) {
      sinceSweep = 0;
      sweepKeys(lines[0]?.at ?? 0);
    }
  };

  return {
    intents, charges, refunds, disputes, events, mails, texts,
    intentsByOrder, refundsByIntent, mailsBy, textsByTo, eventTypes, ledger, inactive, unsettled, outstanding,
    read,
    findKey,
    keyCount: () => keys.size,
    size: () => journal.size(),
    onHook: (listener: (hook: string) => void) => void listeners.push(listener),
    append,
    appendMails(mails: NewMail[]): void {
      const places = bodies.append(mails.map(({ body }) => body));
      append(...mails.map((mail, i) => ({ at: mail.at, mail: { ...mail, body: places[i] as BodyPlace } })));
    },
    bodyOf: (mail: Mail): Body => bodies.read(mail.body),
    close() {
      journal.close();
      bodies.close();
      unlock();
    },
  };
}

/** An address that takes a mail and bounces it for good, as Postmark's own bounce-testing domain does. */
export const bouncesHard = (address: string) => address.startsWith('hardbounce');
export const bouncesSoftly = (address: string) => address.startsWith('softbounce');
