// The load generator's own memory, on disk before and after every call: what was asked, and what the asker was told.
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import type { Request } from './load.ts';

export type Outcome = 'ok' | 'fail' | 'unknown';
export type Entry = {
  request_id: string;
  request: Request;
  sent_at: string;
  /** Undefined while nobody has answered. */
  outcome?: Outcome;
  answered_at?: string;
  order_id?: string;
  /** The code and reason of a refusal, or what was in the way of an answer. */
  error?: string;
  /** The outcome was unknown at first, and a repeat with the same request id told. */
  resolved?: boolean;
  /** How often the buyer repeated the call before giving up or being answered. */
  repeats?: number;
};

export type Journal = {
  sent(requestId: string, request: Request): Entry;
  answered(entry: Entry, outcome: Outcome, more?: Pick<Entry, 'order_id' | 'error' | 'resolved'>): void;
  entries(): Entry[];
  close(): void;
};

export function openJournal(file: string): Journal {
  const fd = openSync(file, 'a', 0o600);
  const entries: Entry[] = [];
  const write = (entry: Entry): void => {
    writeSync(fd, `${JSON.stringify(entry)}\n`);
    fdatasyncSync(fd);
  };
  return {
    sent(request_id, request) {
      const entry: Entry = { request_id, request, sent_at: new Date().toISOString() };
      write(entry);
      entries.push(entry);
      return entry;
    },
    answered(entry, outcome, more = {}) {
      Object.assign(entry, { outcome, answered_at: new Date().toISOString(), error: undefined }, more);
      write(entry);
    },
    entries: () => entries,
    close: () => closeSync(fd),
  };
}
