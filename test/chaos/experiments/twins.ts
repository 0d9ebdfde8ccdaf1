// Pairs of orders that differ in their texts alone: what becomes of them must differ in nothing else.
import { clientsAt } from '../buyers/clients.ts';
import type { Tally } from '../checks/tally.ts';
import type { Context } from '../experiment.ts';
import { count, ledger, query } from '../system/databases.ts';
import { until } from '../wait.ts';

export type Twins = { text: string; strange: string; plain: string };

const PLAIN = 'Plain Text';
const READY_MS = 60_000;
const AT_ONCE = 4;
/** Of the mails that these orders cause: received, and cancelled. */
const MAILS = 2;

/** One order with the text wherever there is room for one, one with plain words; both are cancelled by an operator, with it as the reason. */
export async function placeTwins(context: Context, texts: readonly string[]): Promise<Twins[]> {
  const { system: { runtime }, name, skus: [sku = ''] } = context;
  const { orders } = clientsAt(runtime.edge, runtime.tokens.admin);
  const place = async (text: string, key: string): Promise<string> => {
    const address = { name: text, line1: text, line2: text, city: text, region: text, postalCode: text.slice(0, 20) };
    const { order } = await orders.placeOrder({ requestId: `${key}-${name}`.slice(0, 64), customer: { customerId: key, name: text, email: `${key}@example.com` }, lines: [{ sku, quantity: 1 }], shippingAddress: address, note: text });
    return order?.orderId ?? '';
  };
  const made: Twins[] = [];
  await each(texts.entries(), async ([i, text]) => void made.push({ text, strange: await place(text, `a11-${i}-strange`), plain: await place(PLAIN, `a11-${i}-plain`) }));
  // A cancellation that overtakes the payment makes another history.
  const ids = idsOf(made);
  await until('the payments', READY_MS, async () => (await count(context.system, 'payment', "payment WHERE order_id = ANY($1) AND provider_payment_id <> ''", [ids])) === ids.length);
  await each(made.flatMap(({ text, strange, plain }) => [[strange, text], [plain, PLAIN]] as const).values(), async ([orderId, reason]) => void (await orders.cancelOrder({ orderId, reason, requestId: `c-${orderId}` })));
  return made;
}

const idsOf = (twins: readonly Twins[]): string[] => twins.flatMap(({ strange, plain }) => [strange, plain]);

async function each<T>(queue: IterableIterator<T>, work: (item: T) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const item of queue) await work(item);
  }));
}

export async function compareTwins(context: Context, twins: readonly Twins[], tries: Tally): Promise<void> {
  const { system } = context;
  const ids = idsOf(twins);
  const mails = await until('the mails', READY_MS, async () => {
    const all = (await ledger(system, 'postmark')) as unknown as Mail[];
    const theirs = Map.groupBy(all.filter(({ order_id }) => ids.includes(order_id)), ({ order_id }) => order_id);
    return ids.every((id) => (theirs.get(id)?.length ?? 0) >= MAILS) && theirs;
  });
  const rows = new Map((await query<{ order_id: string; row: string }>(system, 'order', 'SELECT order_id, to_jsonb(o)::text AS row FROM orders o WHERE order_id = ANY($1)', [ids])).map(({ order_id, row }) => [order_id, row]));
  const timelines = await query<{ order_id: string; row: string }>(system, 'order', 'SELECT order_id, to_jsonb(t)::text AS row FROM timeline t WHERE order_id = ANY($1)', [ids]);
  const told = Map.groupBy(timelines, ({ order_id }) => order_id);
  for (const { text, strange, plain } of twins) {
    const look = (what: string, of: (id: string, text: string) => string): void => {
      const [a, b] = [of(strange, text), of(plain, PLAIN)];
      tries.look(`${what} of an order with ${JSON.stringify(text)}`, a === b ? undefined : `differs: ${firstDifference(a, b)}`);
    };
    look('the row', (id, own) => neutral(rows.get(id) ?? '', id, [jsonText(own), jsonText(own.toLowerCase()), jsonText(own.slice(0, 20))]));
    look('the timeline', (id, own) => (told.get(id) ?? []).map(({ row }) => neutral(row, id, [jsonText(own)])).toSorted().join('\n'));
    look('the mails', (id, own) => (mails.get(id) ?? []).toSorted((a, b) => a.kind.localeCompare(b.kind)).map((mail) => [mail.kind, mail.to, mail.subject, neutral(mail.html, id, [escaped(oneLine(own)), escaped(own.trim())]), neutral(mail.text, id, [oneLine(own), own.trim()])].join('\n').replaceAll(id, 'ORDER').replace(/a11-\d+-\w+/g, 'BUYER')).join('\n\n'));
  }
}

type Mail = { order_id: string; kind: string; to: string; subject: string; html: string; text: string };

/** Without what two orders differ in anyway, and without the text, longest form first. */
function neutral(record: string, id: string, forms: string[]): string {
  const short = record.replaceAll(id, 'ORDER').replace(/a11-\d+-(strange|plain)/g, 'BUYER').replace(/\d{4}-\d\d-\d\dT[\d:.]+\+00:00/g, 'TIME').replace(/\w+ \d{1,2}, \d{4} at \d{1,2}:\d{2}\s[AP]M/gu, 'TIME').replace(/\b(ntf|pay|pi|ref|re)_\w+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID').replace(/"position": \d+/g, '"position": N');
  return forms.toSorted((a, b) => b.length - a.length).reduce((text, form) => text.replaceAll(form, 'TEXT'), short);
}

function jsonText(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
}

/** As Handlebars writes HTML. */
function escaped(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#x27;', '`': '&#x60;', '=': '&#x3D;' };
  return text.replace(/[&<>"'`=]/g, (character) => names[character] ?? character);
}

function firstDifference(a: string, b: string): string {
  let at = 0;
  while (a[at] === b[at] && at < a.length) at += 1;
  return `${JSON.stringify(a.slice(Math.max(0, at - 40), at + 80))} and ${JSON.stringify(b.slice(Math.max(0, at - 40), at + 80))}`;
}
