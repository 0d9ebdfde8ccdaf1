// Puts lost events back into the streams: outboxes keep what they published for a while, and what is to be published once more is
// published by the service's own relay, in order, in batches, with its own rights. So this only has to find out what is lost.
import pg from 'pg';
import { openDatabase } from './audit/database.ts';
import { streamOf } from './audit/events.ts';
import { type Ids, createIdCollector, has, idOf } from './audit/ids.ts';
import { type Service, SERVICES } from './audit/report.ts';
import { openStreams } from './audit/streams.ts';

export type Lost = { service: Service; stream: string; said: number; lost: number };
export type Places = { postgres: Partial<Record<Service, string>>; nats: string };

/** Events handed over in one statement: the relay can begin with the first ones. */
const STEP = 1_000;
/** A stream's clock may be this far behind the database's. */
const SKEW_MS = 3_600_000;

const PUBLISHED = `
  SELECT event_id, position FROM outbox WHERE create_time >= $1 AND position <= $2
  AND NOT EXISTS (SELECT FROM outbox_again WHERE outbox_again.position = outbox.position) ORDER BY position`;

export const STREAM_OF: Record<Service, string> = Object.fromEntries(SERVICES.map((service) => [service, streamOf(service)])) as Record<Service, string>;

/**
 * Compares what a service has published since a moment with what its stream holds. With `put`, the lost events are handed to the relay
 * once more, under their own ids: the broker drops one that it has after all, and consumers have its id in their inboxes.
 */
export async function republish({ postgres, nats }: Places, service: Service, since: Date, put: boolean): Promise<Lost> {
  const stream = STREAM_OF[service];
  const database = openDatabase(service, postgres[service]);
  // Taken before the stream is read: whatever was published until then is in it, or lost.
  const [[mark] = []] = await database.few('SELECT position FROM outbox_mark');
  const stored = await idsIn(nats, stream, since);
  const lost: string[] = [];
  let said = 0;
  for await (const batch of database.rows(PUBLISHED, [since.toISOString(), mark])) {
    said += batch.length;
    for (const [eventId, position] of batch) if (!has(stored, idOf(eventId ?? ''))) lost.push(position ?? '');
  }
  if (put) await handOver(postgres[service] ?? '', lost);
  return { service, stream, said, lost: lost.length };
}

async function idsIn(nats: string, stream: string, since: Date): Promise<Ids> {
  const ids = createIdCollector();
  const streams = await openStreams(nats);
  try {
    await streams.read(stream, new Date(since.getTime() - SKEW_MS), (id) => ids.addText(id));
  } finally {
    await streams.close();
  }
  return ids.sorted();
}

async function handOver(url: string, positions: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'millrace events republish' });
  await client.connect();
  try {
    // In the order of positions, which is the order in which the relay takes them.
    for (let from = 0; from < positions.length; from += STEP) await client.query('INSERT INTO outbox_again SELECT unnest($1::bigint[]) ON CONFLICT DO NOTHING', [positions.slice(from, from + STEP)]);
  } finally {
    await client.end();
  }
}
