// At start, a large journal is rewritten without what nobody can ask for any more: idempotency keys older than a day,
// events older than thirty days (as at Stripe), states that a later line replaced, and marks of delivered webhooks.
// Ledger rows, mails and text messages stay for ever.
import { closeSync, existsSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { openJournal } from './journal.ts';
import type { Line } from './records.ts';

const COMPACT_ABOVE = 2 ** 30; // bytes, some 500,000 orders; smaller journals are read in seconds, and looking costs as much
const KEY_LIFETIME_MS = 24 * 3_600_000;
const EVENT_LIFETIME_MS = 30 * 24 * 3_600_000;
const WORTH_IT = 0.25; // the share of bytes that must go, or the rewrite is not worth its time at every start

export function compact(path: string, now: number = Date.now(), above: number = COMPACT_ABOVE): boolean {
  if (!existsSync(path) || statSync(path).size < above) return false;
  const newest = new Map<string, number>();
  const delivered = new Set<string>();
  let forgotten = -1;
  openJournal(path, (line, offset) => {
    for (const record of [line.intent, line.charge, line.refund, line.dispute]) if (record) newest.set(record.id, offset);
    for (const hook of line.done ?? []) delivered.add(hook);
    if (line.forget) forgotten = offset;
  }).close();

  const target = `${path}.compact`;
  const fd = openSync(target, 'w', 0o600);
  let written = 0;
  let total = 0;
  openJournal(path, (line, offset) => {
    const isNewest = (record: { id: string }) => newest.get(record.id) === offset;
    const kept = shrink(line, { now, isNewest, delivered, keyForgotten: offset <= forgotten });
    total += 1 + JSON.stringify(line).length;
    if (kept) written += writeSync(fd, `${JSON.stringify(kept)}\n`);
  }).close();
  closeSync(fd);
  if (written > total * (1 - WORTH_IT)) {
    rmSync(target);
    return false;
  }
  renameSync(target, path);
  return true;
}

interface Fate {
  now: number;
  isNewest(record: { id: string }): boolean;
  delivered: Set<string>;
  keyForgotten: boolean;
}

function shrink(line: Line, fate: Fate): Line | undefined {
  const kept: Line = { ...line };
  delete kept.done;
  delete kept.forget;
  if (fate.keyForgotten || fate.now - line.at >= KEY_LIFETIME_MS) delete kept.key;
  if (line.events) {
    const age = fate.now - line.at;
    kept.events = line.events
      .filter((event) => age < EVENT_LIFETIME_MS || (event.hook && !fate.delivered.has(event.id)))
      .map((event) => (fate.delivered.has(event.id) ? { ...event, hook: undefined } : event));
    if (kept.events.length === 0) delete kept.events;
  }
  if (line.mail?.hook && fate.delivered.has(line.mail.id)) kept.mail = { ...line.mail, hook: undefined };
  if (line.text?.callback && fate.delivered.has(`${line.text.id}:${line.text.status}`)) kept.text = { ...line.text, callback: undefined };
  // A remembered answer or an event shows the records as they stood on its own line, so it keeps them alive.
  if (!kept.key && !kept.events) {
    for (const subject of ['intent', 'charge', 'refund', 'dispute'] as const) {
      const record = line[subject];
      if (record && !fate.isNewest(record)) delete kept[subject];
    }
  }
  const { at: _at, ...content } = kept;
  return Object.keys(content).length > 0 ? kept : undefined;
}
