// When nothing is left to do from earlier orders.
import { CONSUMERS } from '../../local/src/topology.ts';
import { rows } from './audit.ts';
import type { Broker, Consumer } from './consumers.ts';
import { type System, until } from './system.ts';

export const SETTLED_MS = 300_000;

export async function settled(broker: Broker, consumers: readonly Consumer[]): Promise<void> {
  for (const consumer of consumers) await until(async () => (await broker.backlog(consumer)) === 0, SETTLED_MS);
}

/** All events heard, and nothing left that follows from them. */
export async function quiet(broker: Broker, system: System): Promise<void> {
  await settled(broker, CONSUMERS);
  await nothingToSend(system);
  await settled(broker, CONSUMERS);
}

/** All intents made, all mails out, all that the providers have to say about them taken, and all events said. */
export async function nothingToSend({ runtime: { postgres, sandbox } }: System): Promise<void> {
  const open = async (url: string, statement: string) => (await rows(url, `${statement} LIMIT 1`)).length > 0;
  // A payment that was cancelled in time never has an intent.
  await until(async () => !(await open(postgres.payment, "SELECT FROM payment WHERE provider_payment_id = '' AND state <> 'CANCELLED'")), SETTLED_MS);
  await until(async () => !(await open(postgres.notification, 'SELECT FROM send_queue')), SETTLED_MS);
  const owed = async () => ((await (await fetch(`${sandbox}/control/webhooks`)).json()) as { waiting: number }).waiting;
  await until(async () => (await owed()) === 0, SETTLED_MS);
  for (const url of Object.values(postgres)) await until(async () => !(await open(url, 'SELECT FROM outbox_unpublished')), SETTLED_MS);
}
