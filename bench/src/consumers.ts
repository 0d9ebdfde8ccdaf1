// The services' consumers, held and let go at the broker: what is measured alone must not compete with what follows from it.
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { natsLogin } from '../../local/src/nats.ts';
import { CONSUMERS, type ConsumerRoute } from '../../local/src/topology.ts';
import { until } from './system.ts';

/** A durable consumer on a stream. */
export type Consumer = Pick<ConsumerRoute, 'stream' | 'durable'>;
/** `events` of them were handled in `ms`. */
export type Drained<Use> = { events: number; ms: number; use: Use };
export type Broker = {
  hold(consumers: Consumer[]): Promise<void>;
  release(consumers: Consumer[]): Promise<void>;
  /** Events that a consumer has not finished. */
  backlog(consumer: Consumer): Promise<number>;
  /** Lets one go and waits until its backlog is handled and acknowledged. `startUse` is called when it begins, and what it answers when it has ended. */
  drain<Use>(consumer: Consumer, startUse: () => () => Use): Promise<Drained<Use>>;
  close(): Promise<void>;
};

/** What begins when an order was placed: held while placing itself is measured. */
export const AFTERWARDS = hearing('ORDERS', 'payment', 'notification');
const HOUR_MS = 3_600_000;
const DRAIN_LIMIT_MS = 120_000;

export async function openBroker(url: string): Promise<Broker> {
  const connection = await connect(natsLogin(url));
  const manager = await jetstreamManager(connection);
  const broker: Broker = {
    hold: (consumers) => each(consumers, ({ stream, durable }) => manager.consumers.pause(stream, durable, new Date(Date.now() + 24 * HOUR_MS))),
    release: (consumers) => each(consumers, ({ stream, durable }) => manager.consumers.resume(stream, durable)),
    backlog: (consumer) => unfinished(manager, consumer),
    async drain(consumer, startUse) {
      const events = await unfinished(manager, consumer);
      const waiting = async () => (await manager.consumers.info(consumer.stream, consumer.durable)).num_pending;
      const all = await waiting();
      await broker.release([consumer]);
      // A client that was kept waiting asks again in its own time; what counts begins with the first event that it gets.
      const begins = async () => (await waiting()) < all || events === 0;
      await until(begins, DRAIN_LIMIT_MS, () => `${consumer.durable} begins with ${consumer.stream}`);
      const [begun, used] = [performance.now(), startUse()];
      await until(async () => (await unfinished(manager, consumer)) === 0, DRAIN_LIMIT_MS, () => `${consumer.durable} drains ${consumer.stream}`);
      return { events, ms: performance.now() - begun, use: used() };
    },
    close: () => connection.close(),
  };
  return broker;
}

/** The consumers that services have on one stream. */
export function hearing(stream: string, ...services: string[]): ConsumerRoute[] {
  return CONSUMERS.filter((consumer) => consumer.stream === stream && services.includes(consumer.service));
}

async function each(consumers: Consumer[], act: (consumer: Consumer) => Promise<unknown>): Promise<void> {
  await Promise.all(consumers.map(act));
}

async function unfinished(manager: JetStreamManager, { stream, durable }: Consumer): Promise<number> {
  const { num_pending: waiting, num_ack_pending: handled } = await manager.consumers.info(stream, durable);
  return waiting + handled;
}
