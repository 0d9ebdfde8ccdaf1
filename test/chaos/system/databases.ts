// The five databases and the streams, read from outside while the services run: never through a proxy.
import { connect } from '@nats-io/transport-node';
import { jetstreamManager } from '@nats-io/jetstream';
import { Client } from 'pg';
import type { Service } from '../../../local/src/nats-permissions.ts';
import { natsLogin } from '../../../local/src/nats.ts';
import { CONSUMERS } from '../../../local/src/topology.ts';
import type { System } from './system.ts';

export async function query<T extends object>(system: System, service: Service, text: string, values: unknown[] = []): Promise<T[]> {
  const client = new Client({ connectionString: system.runtime.postgres[service], connectionTimeoutMillis: 5_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<T>(text, values)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}

/** The events that a service has published. */
export const SAID = 'outbox WHERE position <= (SELECT position FROM outbox_mark)';

export async function count(system: System, service: Service, what: string, values: unknown[] = []): Promise<number> {
  const [row] = await query<{ n: number }>(system, service, `SELECT count(*)::int AS n FROM ${what}`, values);
  return row?.n ?? 0;
}

export type Consumer = { stream: string; service: string; waiting: number; redelivered: number; deliveries: number };

/** What each service has yet to hear by each of its consumers, and how often something was delivered. */
export async function consumers(system: System): Promise<Consumer[]> {
  const connection = await connect({ ...natsLogin(system.runtime.nats), reconnect: false, timeout: 5_000 });
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false });
    return await Promise.all(CONSUMERS.map(async ({ service, stream, durable }) => {
      const info = await manager.consumers.info(stream, durable);
      return { stream, service, waiting: info.num_pending + info.num_ack_pending, redelivered: info.num_redelivered, deliveries: info.delivered.consumer_seq };
    }));
  } finally {
    await connection.close();
  }
}

export type LedgerRow = { time: string; type?: string; payment_intent?: string; order_id: string; amount: number; currency?: string; kind?: string; to?: string };

export async function ledger(system: System, provider: 'stripe' | 'postmark' | 'twilio'): Promise<LedgerRow[]> {
  return (await (await fetch(`${system.runtime.sandbox}/ledger/${provider}`)).json()) as LedgerRow[];
}
