// The providers' ledgers as they would be had every copied order gone through them: written from the services' own tables, so that the audit
// has as many records to compare as with real ones. What the sandbox holds is only the template.
import { once } from 'node:events';
import { type WriteStream, createReadStream, createWriteStream, mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';

type Ledgers = { url: string; close(): Promise<void> };

const AS_JSON: Record<string, { database: 'payment' | 'notification'; rows: string }> = {
  stripe: {
    database: 'payment',
    rows: `SELECT json_build_object('time', create_time, 'type', 'captured', 'payment_intent', provider_payment_id, 'order_id', order_id, 'amount', captured, 'currency', lower(currency))::text AS line FROM payment WHERE captured > 0
      UNION ALL SELECT json_build_object('time', r.update_time, 'type', 'refunded', 'payment_intent', p.provider_payment_id, 'order_id', order_id, 'amount', r.amount, 'currency', lower(p.currency))::text
      FROM refund r JOIN payment p USING (order_id) WHERE r.state = 'SUCCEEDED'`,
  },
  postmark: { database: 'notification', rows: messagesBy('email') },
  twilio: { database: 'notification', rows: messagesBy('sms') },
};
const BATCH = 5_000;

/** Writes them into files before it serves them: to make them up is the providers' work, and no part of an audit. */
export async function serveLedgers(postgres: Record<string, string>, home: string): Promise<Ledgers> {
  const folder = path.join(home, 'ledgers');
  mkdirSync(folder);
  await Promise.all(Object.entries(AS_JSON).map(([name, { database, rows }]) => write(path.join(folder, name), postgres[database] ?? '', rows)));
  const server = createServer((request, response) => {
    const name = path.basename(new URL(request.url ?? '/', 'http://ledgers').pathname);
    if (!Object.hasOwn(AS_JSON, name)) {
      response.writeHead(404).end();
      return;
    }
    pipeline(createReadStream(path.join(folder, name)), response).catch(() => {}); // the reader sees it break off
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => new Promise((resolve) => server.close(() => resolve())) };
}

function messagesBy(channel: string): string {
  return `SELECT json_build_object('time', send_time, 'message_id', provider_message_id, 'order_id', order_id, 'kind', kind)::text AS line FROM notification
    WHERE channel = '${channel}' AND state IN ('sent', 'delivered', 'bounced')`;
}

// A JSON array with a row on each line, as the sandbox writes its own.
async function write(file: string, url: string, rows: string): Promise<void> {
  const client = new pg.Client(url);
  const out = createWriteStream(file, { mode: 0o600 });
  await client.connect();
  try {
    await client.query(`BEGIN READ ONLY; DECLARE lines NO SCROLL CURSOR FOR ${rows}`);
    let separator = '[';
    for (;;) {
      const { rows: lines } = await client.query<{ line: string }>(`FETCH ${BATCH} FROM lines`);
      if (lines.length === 0) break;
      await put(out, separator + lines.map(({ line }) => line).join(',\n'));
      separator = ',\n';
    }
    await put(out, separator === '[' ? '[]\n' : ']\n');
    out.end();
    await once(out, 'finish');
  } finally {
    out.destroy();
    await client.end();
  }
}

async function put(out: WriteStream, text: string): Promise<void> {
  if (!out.write(text)) await once(out, 'drain');
}
