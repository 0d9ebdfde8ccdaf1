// GET /ledger/<provider>: what the providers really did, append-only, oldest first. Streamed, so that a hundred
// thousand mails neither fill the memory nor hold up the others. `?after=N` leaves out the first N rows, `?bodies=false` the texts of mails.
import type { Incoming, Reply } from './http.ts';
import type { Store } from './store/store.ts';
import type { Table } from './store/table.ts';

const ROWS_PER_PART = 200; // then other requests get their turn

export function ledger(store: Store, incoming: Incoming): Reply {
  const asked = new URLSearchParams(incoming.query);
  const after = asked.get('after') ?? '0';
  if (!/^\d{1,12}$/.test(after)) return { status: 400, body: '{"error":"after must be a number of rows to leave out"}\n' };
  switch (incoming.path) {
    case '/ledger/stripe':
      return { status: 200, body: asArray(stripeRows(store), Number(after)) };
    case '/ledger/postmark':
      return { status: 200, body: asArray(postmarkRows(store, asked.get('bodies') !== 'false'), Number(after)) };
    case '/ledger/twilio':
      return { status: 200, body: asArray(twilioRows(store), Number(after)) };
    default:
      return { status: 404, body: '{"error":"no such ledger; there are /ledger/stripe, /ledger/postmark and /ledger/twilio"}\n' };
  }
}

function* stripeRows(store: Store): Generator<object> {
  // The list may grow meanwhile: the answer ends where it stood at the beginning.
  for (const offset of store.ledger.slice()) {
    const line = store.read(offset);
    const time = new Date(line.at).toISOString();
    for (const row of line.ledger ?? []) yield { time, ...row };
  }
}

function* postmarkRows(store: Store, bodies: boolean): Generator<object> {
  for (const mail of records(store.mails)) {
    const { id, to, subject, metadata } = mail;
    yield {
      time: new Date(mail.at).toISOString(), message_id: id, to, subject,
      order_id: metadata['order_id'] ?? null,
      kind: metadata['kind'] ?? null,
      ...(bodies && store.bodyOf(mail)),
    };
  }
}

function* twilioRows(store: Store): Generator<object> {
  for (const { id, at, to, body, order_id, kind } of records(store.texts)) {
    yield { time: new Date(at).toISOString(), message_id: id, to, body, order_id, kind };
  }
}

function* records<T extends { id: string }>(table: Table<T>): Generator<T> {
  const count = table.count();
  for (let number = 0; number < count; number++) {
    const record = table.at(number);
    if (record) yield record;
  }
}

async function* asArray(rows: Iterable<object>, after: number): AsyncGenerator<string> {
  let part = '[';
  let seen = 0;
  for (const row of rows) {
    seen++;
    if (seen > after) part += `${seen > after + 1 ? ',\n' : ''}${JSON.stringify(row)}`;
    if (seen % ROWS_PER_PART === 0) {
      yield part;
      part = '';
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  yield `${part}]\n`;
}
