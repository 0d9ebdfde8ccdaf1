// Puts the events of all outboxes into the streams, in order and in atomic batches, as the relays would; consumers are held meanwhile.
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, headers } from '@nats-io/transport-node';
import pg from 'pg';
import { natsLogin } from '../../../local/src/nats.ts';
import { CONSUMERS, EVENTS } from '../../../local/src/topology.ts';
import { rows } from '../audit.ts';
import type { Broker } from '../consumers.ts';
import type { System } from '../system.ts';

/** The most that the broker takes in one. */
const BATCH = 1_000;
/** Headers, and what the broker adds, are below this in each message. A million orders are several times what a stream may hold by default. */
const BESIDES_BODY = 1_000;
const TIMEOUT_MS = 30_000;

type Row = { position: string; event_id: string; subject: string; type: string; aggregate_id: string; aggregate_version: number; body: string; create_time: string };

/** Answers how many were published. Consumers stay held: their services have handled every one of these. */
export async function publishOutboxes({ setupUrl, adminUrl, runtime: { postgres } }: System, broker: Broker): Promise<number> {
  await broker.hold([...CONSUMERS]);
  const connection = await connect(natsLogin(setupUrl));
  try {
    const manager = await jetstreamManager(connection);
    const js = jetstream(connection);
    let published = 0;
    for (const service of Object.keys(postgres)) {
      const url = Object.assign(new URL(adminUrl), { pathname: `/${service}` }).href;
      await makeRoom(manager, service, url);
      for await (const events of copied(url)) {
        const [first, ...rest] = events as [Row, ...Row[]];
        const last = rest.pop();
        if (last === undefined) await js.publish(first.subject, first.body, { headers: headersOf(service, first), timeout: TIMEOUT_MS });
        else {
          const batch = await js.startBatch(first.subject, first.body, { headers: headersOf(service, first), timeout: TIMEOUT_MS });
          for (const row of rest) batch.add(row.subject, row.body, { headers: headersOf(service, row) });
          await batch.commit(last.subject, last.body, { headers: headersOf(service, last), timeout: TIMEOUT_MS });
        }
        published += events.length;
      }
    }
    return published;
  } finally {
    await connection.close();
  }
}

async function makeRoom(manager: JetStreamManager, service: string, url: string): Promise<void> {
  const stream = EVENTS.find(({ saidBy }) => saidBy === service)?.stream ?? '';
  const [needed] = await rows<{ bytes: string }>(url, `SELECT coalesce(sum(octet_length(body) + ${BESIDES_BODY}), 0) AS bytes FROM outbox`);
  const { config } = await manager.streams.info(stream);
  await manager.streams.update(stream, { max_bytes: Math.max(config.max_bytes, Number(needed?.bytes)) });
}

// The template's own are in the streams already.
async function* copied(url: string): AsyncGenerator<Row[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const real = await client.query<{ last: string }>('SELECT coalesce(max(position), 0) AS last FROM fill.outbox');
    let after = real.rows[0]?.last ?? '0';
    for (;;) {
      const next = await client.query<Row>({
        name: 'next', values: [after],
        text: `SELECT position, event_id, subject, type, aggregate_id, aggregate_version, body, to_char(create_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS create_time FROM outbox WHERE position > $1 ORDER BY position LIMIT ${BATCH}`,
      });
      if (next.rows.length === 0) return;
      after = next.rows.at(-1)?.position ?? after;
      yield next.rows;
    }
  } finally {
    await client.end();
  }
}

function headersOf(service: string, row: Row) {
  const h = headers();
  const values = {
    'Nats-Msg-Id': row.event_id, 'ce-specversion': '1.0', 'ce-id': row.event_id, 'ce-type': row.type, 'ce-source': `/millrace/${service}`, 'ce-subject': row.aggregate_id,
    'ce-time': row.create_time, 'content-type': 'application/json', 'millrace-version': String(row.aggregate_version),
  };
  for (const [name, value] of Object.entries(values)) h.set(name, value);
  return h;
}
