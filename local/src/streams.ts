// Makes the streams and durable consumers that the topology asks for. Repeats harmlessly: it runs at every start.
import { statfsSync } from 'node:fs';
import { AckPolicy, type ConsumerConfig, DeliverPolicy, DiscardPolicy, type JetStreamManager, ReplayPolicy, RetentionPolicy, StorageType, type StreamConfig, jetstreamManager } from '@nats-io/jetstream';
import { type NatsConnection, nanos } from '@nats-io/transport-node';
import { CONSUMERS, type ConsumerRoute, STREAMS } from './topology.ts';

const DAY_MS = 86_400_000;
/** Longer than a service may be down; published rows stay in the services' databases besides. */
const MAX_AGE_MS = 30 * DAY_MS;
const DUPLICATE_WINDOW_MS = 120_000;
/** How long a message stays with a consumer that died; a living one reports what it holds every 3 s. */
const ACK_WAIT_MS = 10_000;
/** Some batches of every worker, and an end to what a stuck one can hold, and to what waits in a worker's memory. */
const MAX_ACK_PENDING = 1_000;
const MAX_STREAM_BYTES = 1024 ** 3;
const MIN_STREAM_BYTES = 64 * 1024 ** 2;
const DISK_SHARE = 0.1; // a full disk wedges a stream; a full stream only refuses

const NOT_FOUND = new Set([10059, 10014]);

export async function applyTopology(connection: NatsConnection, maxBytes: number = MAX_STREAM_BYTES): Promise<void> {
  const manager = await jetstreamManager(connection);
  for (const stream of STREAMS) await applyStream(manager, streamConfig(stream, maxBytes));
  for (const consumer of CONSUMERS) await applyConsumer(manager, consumer);
}

/** How large a stream may grow on the disk that holds this folder. */
export function streamBytesFor(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return Math.floor(Math.min(MAX_STREAM_BYTES, Math.max(MIN_STREAM_BYTES, bavail * bsize * DISK_SHARE)));
}

function streamConfig(name: string, maxBytes: number): Partial<StreamConfig> & { name: string } {
  return {
    name,
    subjects: [`${name.toLowerCase()}.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_bytes: maxBytes,
    max_age: nanos(MAX_AGE_MS),
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    allow_direct: true,
    allow_atomic: true,
  };
}

/** Without where it begins, which never changes. */
function consumerConfig({ service, durable, subjects }: ConsumerRoute) {
  return {
    durable_name: durable,
    description: `what ${service} hears`,
    ack_policy: AckPolicy.Explicit,
    replay_policy: ReplayPolicy.Instant,
    ack_wait: nanos(ACK_WAIT_MS),
    max_deliver: -1,
    max_ack_pending: MAX_ACK_PENDING,
    filter_subjects: subjects,
  };
}

async function applyStream(manager: JetStreamManager, wanted: Partial<StreamConfig> & { name: string }): Promise<void> {
  const there = await orMissing(manager.streams.info(wanted.name));
  if (!there) await manager.streams.add(wanted);
  // Never smaller than before: what is stored might not fit any more.
  else await manager.streams.update(wanted.name, { ...wanted, max_bytes: Math.max(there.config.max_bytes, wanted.max_bytes ?? 0) });
}

async function applyConsumer(manager: JetStreamManager, route: ConsumerRoute): Promise<void> {
  const { stream, durable } = route;
  const wanted = consumerConfig(route);
  if (await orMissing(manager.consumers.info(stream, durable))) {
    await manager.consumers.update(stream, durable, wanted);
    return;
  }
  await manager.consumers.add(stream, { ...wanted, ...(await beginning(manager, route)) });
}

/** With the first event; one that was heard with the rest of its stream so far goes on there, because that consumer is changed after this one is made. */
async function beginning(manager: JetStreamManager, { stream, service, durable, subjects }: ConsumerRoute): Promise<Pick<ConsumerConfig, 'deliver_policy' | 'opt_start_seq'>> {
  const rest = durable === service ? undefined : await orMissing(manager.consumers.info(stream, service));
  const heard = rest?.config.filter_subjects ?? [];
  if (rest === undefined || !subjects.every((subject) => heard.includes(subject))) return { deliver_policy: DeliverPolicy.All };
  return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: rest.ack_floor.stream_seq + 1 };
}

async function orMissing<T>(asked: Promise<T>): Promise<T | undefined> {
  return asked.catch((error: unknown) => {
    if (NOT_FOUND.has((error as { code?: number }).code ?? 0)) return undefined;
    throw error;
  });
}
