// The inbox: a page, the data it shows, and single mails for its preview frame.
import type { Incoming, Reply } from '../http.ts';
import type { Sandbox } from '../sandbox.ts';
import type { Table } from '../store/table.ts';
import { INBOX_PAGE, PAGE_POLICY } from './page.ts';

const ROWS = 50;
// The preview holds other people's HTML: no script, no form, no request leaves it, and it has no origin.
const MAIL_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:";

export function inbox(sandbox: Sandbox, incoming: Incoming): Reply | undefined {
  if (incoming.path === '/') return htmlReply(INBOX_PAGE, PAGE_POLICY);
  if (incoming.path === '/inbox/data') return { status: 200, headers: { 'cache-control': 'no-store' }, body: JSON.stringify(inboxData(sandbox)) };
  if (incoming.path.startsWith('/inbox/mail/')) {
    const mail = sandbox.store.mails.get(incoming.path.slice('/inbox/mail/'.length));
    if (!mail) return { status: 404, body: '{"error":"no such mail"}\n' };
    const body = sandbox.store.bodyOf(mail);
    if (body.html !== null && incoming.query !== 'text') return htmlReply(body.html, MAIL_POLICY);
    return { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8', 'content-security-policy': MAIL_POLICY, 'x-content-type-options': 'nosniff' }, body: body.text ?? '' };
  }
  return undefined;
}

function inboxData({ store, faults, deliveries }: Sandbox): object {
  return {
    mails: newest(store.mails).map(({ id, at, to, subject, metadata, bounce }) => ({ id, at, to, subject, bounce, order: metadata['order_id'], kind: metadata['kind'] })),
    texts: newest(store.texts).map(({ id, at, to, body, order_id, kind }) => ({ id, at, to, body, order: order_id, kind })),
    intents: newest(store.intents).map(({ id, created, amount, currency, status, metadata, error }) => ({ id, at: created * 1000, amount, currency, status, order: metadata['order_id'], error: error?.decline_code ?? error?.code })),
    counts: { mails: store.mails.count(), texts: store.texts.count(), intents: store.intents.count() },
    faults: faults.list(),
    webhooks: { ...deliveries.mode(), waiting: deliveries.waiting() },
  };
}

function newest<T extends { id: string }>(table: Table<T>): T[] {
  const records: T[] = [];
  for (let number = table.count() - 1; number >= 0 && records.length < ROWS; number--) {
    const record = table.at(number);
    if (record) records.push(record);
  }
  return records;
}

function htmlReply(body: string, policy: string): Reply {
  return { status: 200, headers: { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy, 'x-content-type-options': 'nosniff' }, body };
}
