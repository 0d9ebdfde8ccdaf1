// A hash over everything that can be changed: all tables of the five databases, the streams, the providers' ledgers.
import { createHash } from 'node:crypto';
import { connect } from '@nats-io/transport-node';
import { jetstreamManager } from '@nats-io/jetstream';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { type Service, SERVICES } from '../../../local/src/nats-permissions.ts';
import { natsLogin } from '../../../local/src/nats.ts';
import { STREAMS } from '../../../local/src/topology.ts';
import { ledger, query } from './databases.ts';
import type { System } from './system.ts';

/** By what was hashed: "order.orders", "stream ORDERS", "ledger stripe". */
export type State = ReadonlyMap<string, string>;

export async function stateOf(system: System): Promise<State> {
  const parts = await Promise.all([...SERVICES.map(async (service) => tablesOf(system, service)), streamsOf(system), ledgersOf(system)]);
  return new Map(parts.flat());
}

/** What differs, in words. */
export function changes(before: State, after: State): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter((what) => before.get(what) !== after.get(what));
}

/** What a loop notes down when it looks after something that stays as it is. */
const BOOKKEEPING = "ARRAY['tries', 'asking', 'next_attempt_time', 'lease_until', 'update_time']";

async function tablesOf(system: System, service: Service): Promise<[string, string][]> {
  const tables = await query<{ name: string }>(system, service, "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1");
  const hashes = tables.map(({ name }) => `SELECT ${escapeLiteral(name)} AS name, md5(coalesce(string_agg(md5(row), '' ORDER BY md5(row)), '')) AS hash FROM (SELECT (to_jsonb(t) - ${BOOKKEEPING})::text AS row FROM ${escapeIdentifier(name)} t) rows`);
  const rows = await query<{ name: string; hash: string }>(system, service, hashes.join(' UNION ALL '));
  return rows.map(({ name, hash }) => [`${service}.${name}`, hash]);
}

async function streamsOf(system: System): Promise<[string, string][]> {
  const connection = await connect({ ...natsLogin(system.runtime.nats), reconnect: false });
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false });
    return await Promise.all(STREAMS.map(async (stream): Promise<[string, string]> => {
      const { config, state } = await manager.streams.info(stream);
      return [`stream ${stream}`, `${state.first_seq} to ${state.last_seq}, ${state.messages} messages, ${JSON.stringify(config)}`];
    }));
  } finally {
    await connection.close();
  }
}

async function ledgersOf(system: System): Promise<[string, string][]> {
  return Promise.all((['stripe', 'postmark', 'twilio'] as const).map(async (provider): Promise<[string, string]> => [`ledger ${provider}`, createHash('sha256').update(JSON.stringify(await ledger(system, provider))).digest('hex')]));
}
