// The services' consumers, held and let go at the broker: what is measured alone must not compete with what follows from it.
import { setTimeout } from 'node:timers/promises';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { natsLogin } from '../../local/src/nats.ts';
import { HEARERS, heardBy } from '../../local/src/topology.ts';

export type Consumer = { stream: string; service: string };
/** `events` of them were handled in `ms`. */
export type Drained = { events: number; ms: number };
export type Broker = {
  hold(consumers: Consumer[]): Promise<void>;
  release(consumers: Consumer[]): Promise<void>;
  /** Events that a consumer has not finished. */
  backlog(consumer: Consumer): Promise<number>;
  /** Lets one go and waits until its backlog is handled and acknowledged. */
  drain(consumer: Consumer): Promise<Drained>;
  close(): Promise<void>;
};

export const CONSUMERS: readonly Consumer[] = HEARERS.flatMap((service) => [...heardBy(service).keys()].map((stream) => ({ stream, service })));
const HOUR_MS = 3_600_000;
const LOOK_MS = 10;
const DRAIN_LIMIT_MS = 120_000;

export async function openBroker(url: string): Promise<Broker> {
  const connection = await connect(natsLogin(url));
  const manager = await jetstreamManager(connection);
  const broker: Broker = {
    hold: (consumers) => each(consumers, ({ stream, service }) => manager.consumers.pause(stream, service, new Date(Date.now() + 24 * HOUR_MS))),
    release: (consumers) => each(consumers, ({ stream, service }) => manager.consumers.resume(stream, service)),
    backlog: (consumer) => unfinished(manager, consumer),
    async drain(consumer) {
      const events = await unfinished(manager, consumer);
      const waiting = async () => (await manager.consumers.info(consumer.stream, consumer.service)).num_pending;
      const all = await waiting();
      const asked = performance.now();
      await broker.release([consumer]);
      // A client that was kept waiting asks again in its own time; what counts begins with the first event that it gets.
      const begins = async () => (await waiting()) < all || events === 0;
      while (!(await begins())) {
        if (performance.now() - asked > DRAIN_LIMIT_MS) throw new Error(`${consumer.service} has not begun with ${consumer.stream} in ${DRAIN_LIMIT_MS / 1_000} s`);
        await setTimeout(LOOK_MS);
      }
      const begun = performance.now();
      while ((await unfinished(manager, consumer)) > 0) {
        if (performance.now() - begun > DRAIN_LIMIT_MS) throw new Error(`${consumer.service} has not drained ${consumer.stream} in ${DRAIN_LIMIT_MS / 1_000} s`);
        await setTimeout(LOOK_MS);
      }
      return { events, ms: performance.now() - begun };
    },
    close: () => connection.close(),
  };
  return broker;
}

async function each(consumers: Consumer[], act: (consumer: Consumer) => Promise<unknown>): Promise<void> {
  await Promise.all(consumers.map(act));
}

async function unfinished(manager: JetStreamManager, { stream, service }: Consumer): Promise<number> {
  const { num_pending: waiting, num_ack_pending: handled } = await manager.consumers.info(stream, service);
  return waiting + handled;
}
