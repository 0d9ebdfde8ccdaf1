// Looking sent messages up: GET /messages/outbound and /messages/outbound/:id/details.
import type { Mail } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { PostmarkRefusal } from './errors.ts';

const MAX_COUNT = 500;
const MAX_WINDOW = 10_000; // count + offset, as at Postmark
const SCAN_LIMIT = 20_000; // messages read for a search without recipient or metadata

export function searchMessages(store: Store, query: string): object {
  const params = new URLSearchParams(query);
  const count = whole(params, 'count', MAX_COUNT);
  const offset = whole(params, 'offset', MAX_WINDOW);
  if (count === 0) throw new PostmarkRefusal(422, 604, `Parameter 'count' should be a number from 1 to ${MAX_COUNT}.`);
  if (count + offset > MAX_WINDOW) throw new PostmarkRefusal(422, 604, `Parameters 'count' + 'offset' must not exceed ${MAX_WINDOW}.`);

  const lists: (readonly number[])[] = [];
  for (const [name, value] of params) {
    if (name === 'recipient') lists.push(store.mailsBy.get(`to=${value.toLowerCase()}`));
    else if (name.startsWith('metadata_')) lists.push(store.mailsBy.get(`${name.slice(9)}=${value}`));
  }
  lists.sort((a, b) => a.length - b.length);
  const [shortest, ...others] = lists;
  const sets = others.map((list) => new Set(list));
  const total = store.mails.count();
  const numbers = shortest
    ? shortest.filter((number) => sets.every((set) => set.has(number))).reverse()
    : Array.from({ length: Math.min(total, SCAN_LIMIT) }, (_, i) => total - 1 - i);

  const matches = filterOf(params);
  if (!matches) {
    const page = numbers.slice(offset, offset + count).flatMap((number) => store.mails.at(number) ?? []);
    return { TotalCount: shortest ? numbers.length : total, Messages: page.map(summary) };
  }
  const found = numbers.slice(0, SCAN_LIMIT).flatMap((number) => store.mails.at(number) ?? []).filter(matches);
  return { TotalCount: found.length, Messages: found.slice(offset, offset + count).map(summary) };
}

export function messageDetails(store: Store, id: string): object {
  const mail = store.mails.get(id);
  if (!mail) throw new PostmarkRefusal(422, 701, `This message was not found: '${id.slice(0, 100)}'.`);
  const { html, text } = store.bodyOf(mail);
  const bounced = mail.bounce !== undefined;
  return {
    TextBody: text ?? '',
    HtmlBody: html ?? '',
    Body: '',
    ...summary(mail),
    MessageEvents: mail.recipients.map((recipient) => ({
      Recipient: recipient,
      Type: bounced ? 'Bounced' : 'Delivered',
      ReceivedAt: new Date(mail.at).toISOString(),
      Details: bounced ? { Summary: mail.bounce, BounceID: String(store.mails.numberOf(id) + 1) } : { DeliveryMessage: 'smtp;250 2.0.0 OK', DestinationServer: 'sandbox', DestinationIP: '127.0.0.1' },
    })),
  };
}

function summary(mail: Mail): object {
  const named = (list: string | undefined) => (list ? list.split(',').map((part) => ({ Email: part.trim().replace(/^.*<|>$/g, ''), Name: null })) : []);
  return {
    Tag: mail.tag ?? '',
    MessageID: mail.id,
    MessageStream: mail.stream,
    To: named(mail.to),
    Cc: named(mail.cc),
    Bcc: named(mail.bcc),
    Recipients: mail.recipients,
    ReceivedAt: new Date(mail.at).toISOString(),
    From: mail.from,
    Subject: mail.subject,
    Attachments: [],
    Status: 'Sent',
    TrackOpens: false,
    TrackLinks: 'None',
    Metadata: mail.metadata,
    Sandboxed: false,
  };
}

/** The filters that need the message itself. */
function filterOf(params: URLSearchParams): ((mail: Mail) => boolean) | undefined {
  const checks: ((mail: Mail) => boolean)[] = [];
  const check = (name: string, holds: (mail: Mail, value: string) => boolean) => {
    const value = params.get(name);
    if (value !== null && value !== '') checks.push((mail) => holds(mail, value));
  };
  check('tag', (mail, value) => mail.tag === value);
  check('subject', (mail, value) => mail.subject.includes(value));
  check('fromemail', (mail, value) => mail.from.toLowerCase().includes(value.toLowerCase()));
  check('messagestream', (mail, value) => mail.stream === value);
  check('status', (_mail, value) => value.toLowerCase() === 'sent' || value.toLowerCase() === 'processed');
  check('fromdate', (mail, value) => mail.at >= date(value));
  check('todate', (mail, value) => mail.at <= date(value) + (value.length > 10 ? 0 : 86_399_999));
  return checks.length === 0 ? undefined : (mail) => checks.every((holds) => holds(mail));
}

function date(text: string): number {
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new PostmarkRefusal(422, 604, `Invalid date: '${text.slice(0, 50)}'.`);
  return time;
}

function whole(params: URLSearchParams, name: string, most: number): number {
  const text = params.get(name);
  if (text === null) throw new PostmarkRefusal(422, 604, `Parameter '${name}' is required.`);
  if (!/^\d{1,6}$/.test(text) || Number(text) > most) throw new PostmarkRefusal(422, 604, `Parameter '${name}' should be a number up to ${most}.`);
  return Number(text);
}
