// The providers' own records: the sandbox's ledgers, or the real Stripe's lists.
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type { Stripe } from 'stripe';
import { SourceAwayError } from './database.ts';
import type { Source } from './report.ts';

export type MoneyRow = { time: string; type: string; orderId: string; amount: number; currency: string; intent: string };
export type ProviderAddress = { sandbox: string } | { stripe: { secretKey: string; apiBase?: string | undefined } };

/** A ledger that sends nothing for so long has stopped. */
const IDLE_MS = 15_000;
const PAGE = 100;
/** Stripe lists a hundred records a call: beyond this an audit of all orders would take hours, and `since` is the way. */
const MAX_RECORDS = 1_000_000;
const STRIPE_TIMEOUT_MS = 30_000;

/** What the provider charged, gave back and so on, in any order, many at a time. */
export function moneyRows(address: ProviderAddress, since: Date | undefined): AsyncIterable<MoneyRow[]> {
  return 'stripe' in address ? stripeRows(address.stripe, since) : sandboxRows(address.sandbox);
}

type MoneyLine = { time: string; type: string; order_id: string | null; amount: number; currency: string; payment_intent: string };

async function* sandboxRows(sandbox: string): AsyncGenerator<MoneyRow[]> {
  for await (const lines of ledgerRows<MoneyLine>('provider', sandbox, 'stripe')) {
    yield lines.map(({ time, type, order_id: orderId, amount, currency, payment_intent: intent }) => ({ time, type, orderId: orderId ?? '', amount, currency, intent }));
  }
}

/** Messages that were really handed over, each as when and for what. */
export type MessageRow = { time: string; order_id: string | null; kind: string | null };

export function messageRows(sandbox: string, source: 'mails' | 'texts'): AsyncIterable<MessageRow[]> {
  return ledgerRows(source, sandbox, source === 'mails' ? 'postmark?bodies=false' : 'twilio');
}

// The ledgers are JSON arrays with a row on each line, read as far as lines have come. Not by fetch: its streams cost several times as much
// as all that is done with a line.
async function* ledgerRows<T>(source: Source, sandbox: string, provider: string): AsyncGenerator<T[]> {
  const url = new URL(`${sandbox.replace(/\/$/, '')}/ledger/${provider}`);
  const request = (url.protocol === 'https:' ? https : http).get(url, { timeout: IDLE_MS });
  request.once('timeout', () => request.destroy(new Error('it stopped answering')));
  try {
    const [answer] = (await once(request, 'response')) as [http.IncomingMessage];
    if (answer.statusCode !== 200) throw new Error(`it answered ${answer.statusCode}`);
    answer.setEncoding('utf8');
    let [rest, closed] = ['', false];
    for await (const part of answer as AsyncIterable<string>) {
      const end = part.lastIndexOf('\n');
      if (end < 0) {
        rest += part;
        continue;
      }
      const lines = rest + part.slice(0, end);
      rest = part.slice(end + 1);
      closed = lines.endsWith(']');
      const rows = rowsIn(lines);
      if (rows !== '') yield JSON.parse(`[${rows}]`) as T[];
    }
    if (!closed || rest !== '') throw new Error('its answer broke off');
  } catch (error) {
    throw error instanceof SourceAwayError ? error : new SourceAwayError(source, error);
  } finally {
    request.destroy();
  }
}

/** Lines without the array around them, and without the comma before the next one. */
function rowsIn(lines: string): string {
  return lines.slice(lines.startsWith('[') ? 1 : 0, /[,\]]$/.test(lines) ? -1 : undefined);
}

async function* stripeRows({ secretKey, apiBase }: { secretKey: string; apiBase?: string | undefined }, since: Date | undefined): AsyncGenerator<MoneyRow[]> {
  try {
    const { Stripe: Sdk } = await import('stripe');
    const base = new URL(apiBase ?? 'https://api.stripe.com');
    const protocol = base.protocol === 'http:' ? 'http' : 'https';
    const stripe = new Sdk(secretKey, { host: base.hostname, port: base.port || (protocol === 'http' ? 80 : 443), protocol, timeout: STRIPE_TIMEOUT_MS, telemetry: false });
    const page = { limit: PAGE, ...(since && { created: { gte: Math.floor(since.getTime() / 1_000) } }) };
    for await (const intent of first(stripe.paymentIntents.list(page))) {
      if (intent.amount_received > 0) yield [rowOf('captured', intent.created, intent, intent.amount_received, intent.currency)];
    }
    for await (const refund of first(stripe.refunds.list({ ...page, expand: ['data.payment_intent'] }))) {
      const intent = refund.payment_intent;
      if (refund.status === 'succeeded') yield [rowOf('refunded', refund.created, intent !== null && typeof intent === 'object' ? intent : undefined, refund.amount, refund.currency, refund.metadata?.['order_id'])];
    }
  } catch (error) {
    throw new SourceAwayError('provider', error);
  }
}

async function* first<T>(records: AsyncIterable<T>): AsyncGenerator<T> {
  let left = MAX_RECORDS;
  for await (const record of records) {
    if (left-- <= 0) throw new Error(`it has more than ${MAX_RECORDS} records: say since when`);
    yield record;
  }
}

function rowOf(type: string, created: number, intent: Stripe.PaymentIntent | undefined, amount: number, currency: string, orderId?: string): MoneyRow {
  return { time: new Date(created * 1_000).toISOString(), type, orderId: intent?.metadata['order_id'] ?? orderId ?? '', amount, currency, intent: intent?.id ?? '' };
}
