// When nothing is left to do from earlier orders.
import { CONSUMERS } from '../../local/src/topology.ts';
import { rows } from './audit.ts';
import type { Broker, Consumer } from './consumers.ts';
import { type System, until } from './system.ts';

export const SETTLED_MS = 300_000;

export async function settled(broker: Broker, consumers: readonly Consumer[]): Promise<void> {
  for (const consumer of consumers) await until(async () => (await broker.backlog(consumer)) === 0, SETTLED_MS);
}

/** All intents made, all mails out, all that the providers have to say about them taken, and all events said and heard. */
export async function quiet(broker: Broker, { runtime: { postgres, sandbox } }: System): Promise<void> {
  await settled(broker, CONSUMERS);
  const open = async (url: string, statement: string) => (await rows(url, `${statement} LIMIT 1`)).length > 0;
  // A payment that was cancelled in time never has an intent.
  await until(async () => !(await open(postgres.payment, "SELECT FROM payment WHERE provider_payment_id = '' AND state <> 'CANCELLED'")), SETTLED_MS);
  await until(async () => !(await open(postgres.notification, 'SELECT FROM send_queue')), SETTLED_MS);
  const owed = async () => ((await (await fetch(`${sandbox}/control/webhooks`)).json()) as { waiting: number }).waiting;
  await until(async () => (await owed()) === 0, SETTLED_MS);
  for (const url of Object.values(postgres)) await until(async () => !(await open(url, 'SELECT FROM outbox_unpublished')), SETTLED_MS);
  await settled(broker, CONSUMERS);
}
