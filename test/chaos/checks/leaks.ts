// I18: secrets and card numbers in nothing that is kept or told, personal data in no log and no error.
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { connect } from '@nats-io/transport-node';
import { jetstream } from '@nats-io/jetstream';
import { type Service, SERVICES } from '../../../local/src/nats-permissions.ts';
import { natsLogin } from '../../../local/src/nats.ts';
import { STREAMS } from '../../../local/src/topology.ts';
import type { Journal } from '../buyers/journal.ts';
import { query } from '../system/databases.ts';
import { environmentOf } from '../system/environment.ts';
import type { System } from '../system/system.ts';
import type { AuditRow } from './audit.ts';
import { tally } from './tally.ts';

/** By a name that may be shown. Personal data may travel in streams and lie in dead letters, which only operators see. */
export type Canaries = { secrets: ReadonlyMap<string, string>; personal: ReadonlyMap<string, string> };

/** Shorter ones would be found by chance. */
const MIN_CHARS = 8;
const STREAM_LIMIT_MS = 30_000;
const PROVIDER_SECRETS = ['STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRET', 'POSTMARK_SERVER_TOKEN', 'POSTMARK_WEBHOOK_SECRET', 'TWILIO_AUTH_TOKEN', 'MILLRACE_TOKEN'];

/** `errors`: what callers were told. */
export async function leaks(system: System, { secrets, personal }: Canaries, errors: readonly string[]): Promise<AuditRow> {
  const seen = tally('I18');
  const search = (place: string, text: string, canaries: ReadonlyMap<string, string>): void => {
    for (const [name, value] of canaries) seen.look(place, text.includes(value) ? `shows ${name}` : undefined);
  };
  const everything = new Map([...secrets, ...personal]);
  for (const [file, text] of logsOf(system)) search(file, text, everything);
  search('errors', errors.join('\n'), everything);
  for (const stream of STREAMS) search(`stream ${stream}`, await textOf(system, stream), secrets);
  for (const service of SERVICES) search(`dead letters of ${service}`, await deadLettersOf(system, service), secrets);
  return seen.row();
}

/** All that the system was given or has made to keep. */
export async function secretsOf(system: System): Promise<Map<string, string>> {
  const home = (name: string): Record<string, string> => JSON.parse(readFileSync(path.join(system.home, name), 'utf8')) as Record<string, string>;
  const found: [string, string | undefined][] = [
    ...Object.entries(home('secrets.json')), ['the signing key', home('signing-key.json')['d']], ...Object.entries(system.runtime.tokens).map(([name, token]): [string, string] => [`${name}'s token`, token]),
    ...SERVICES.flatMap((service) => PROVIDER_SECRETS.map((name): [string, string | undefined] => [`${name} of ${service}`, environmentOf(system, service)[name]])),
    ...(await query<{ order_id: string; client_secret: string }>(system, 'payment', "SELECT order_id, client_secret FROM payment WHERE client_secret <> '' ORDER BY create_time DESC LIMIT 200")).map((row): [string, string] => [`the client secret of ${row.order_id}`, row.client_secret]),
  ];
  return new Map(found.filter((entry): entry is [string, string] => (entry[1]?.length ?? 0) >= MIN_CHARS));
}

/** Who bought, in this run. */
export function buyersOf(journal: Journal): Map<string, string> {
  const placed = journal.entries().flatMap(({ request }) => (request.do === 'place' ? [request] : []));
  return new Map(placed.flatMap(({ email, phone }): [string, string][] => [['a buyer\'s address', email], ...(phone ? [['a buyer\'s number', phone] as [string, string]] : [])]).map(([name, value]) => [`${name} (${value})`, value]));
}

export function errorsOf(journal: Journal): string[] {
  return journal.entries().flatMap(({ error }) => (error === undefined ? [] : [error]));
}

export function logsOf({ home }: System): [string, string][] {
  const folder = path.join(home, 'logs');
  return readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]);
}

async function textOf(system: System, stream: string): Promise<string> {
  const connection = await connect({ ...natsLogin(system.runtime.nats), reconnect: false });
  try {
    const consumer = await jetstream(connection).consumers.get(stream);
    const { num_pending: many } = await consumer.info();
    const parts: string[] = [];
    for await (const message of await consumer.fetch({ max_messages: Math.max(1, many), expires: many === 0 ? 1_000 : STREAM_LIMIT_MS })) {
      parts.push(message.subject, JSON.stringify([...(message.headers ?? [])]), Buffer.from(message.data).toString('utf8'));
      if (message.info.pending === 0) break;
    }
    return parts.join('\n');
  } finally {
    await connection.close();
  }
}

async function deadLettersOf(system: System, service: Service): Promise<string> {
  const rows = await query<{ text: string }>(system, service, "SELECT concat_ws(' ', cause, stack, headers::text, note, encode(body, 'escape')) AS text FROM dead_letter");
  return rows.map(({ text }) => text).join('\n');
}
