// The providers' ledgers as they would be had every copied order gone through them: read from the services' own tables, so that the audit
// has as many records to compare as with real ones. What the sandbox holds is only the template.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';

type Ledgers = { url: string; close(): Promise<void> };

const AS_JSON: Record<string, { database: 'payment' | 'notification'; rows: string }> = {
  '/ledger/stripe': {
    database: 'payment',
    rows: `SELECT json_build_object('time', create_time, 'type', 'captured', 'payment_intent', provider_payment_id, 'order_id', order_id, 'amount', captured, 'currency', lower(currency))::text AS line FROM payment WHERE captured > 0
      UNION ALL SELECT json_build_object('time', r.update_time, 'type', 'refunded', 'payment_intent', p.provider_payment_id, 'order_id', order_id, 'amount', r.amount, 'currency', lower(p.currency))::text
      FROM refund r JOIN payment p USING (order_id) WHERE r.state = 'SUCCEEDED'`,
  },
  '/ledger/postmark': { database: 'notification', rows: messagesBy('email') },
  '/ledger/twilio': { database: 'notification', rows: messagesBy('sms') },
};
const BATCH = 5_000;

export async function serveLedgers(postgres: Record<string, string>): Promise<Ledgers> {
  const server = createServer((request, response) => {
    const ledger = AS_JSON[new URL(request.url ?? '/', 'http://ledgers').pathname];
    if (!ledger) {
      response.writeHead(404).end();
      return;
    }
    send(postgres[ledger.database] ?? '', ledger.rows, (text) => (response.write(text) ? undefined : new Promise<void>((resolve) => response.once('drain', resolve)))).then(
      () => response.end(),
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => new Promise((resolve) => server.close(() => resolve())) };
}

function messagesBy(channel: string): string {
  return `SELECT json_build_object('time', send_time, 'message_id', provider_message_id, 'order_id', order_id, 'kind', kind)::text AS line FROM notification
    WHERE channel = '${channel}' AND state IN ('sent', 'delivered', 'bounced')`;
}

// A JSON array with a row on each line, as the sandbox writes its own.
async function send(url: string, rows: string, write: (text: string) => Promise<void> | undefined): Promise<void> {
  const client = new pg.Client(url);
  client.on('error', () => {}); // the query in hand fails with it
  await client.connect();
  try {
    // A reader that takes its time must not lose the rest.
    await client.query(`BEGIN READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 0; DECLARE lines NO SCROLL CURSOR FOR ${rows}`);
    let separator = '[';
    for (;;) {
      const { rows: lines } = await client.query<{ line: string }>(`FETCH ${BATCH} FROM lines`);
      if (lines.length === 0) break;
      await write(separator + lines.map(({ line }) => line).join(',\n'));
      separator = ',\n';
    }
    await write(separator === '[' ? '[]\n' : ']\n');
  } finally {
    await client.end();
  }
}
