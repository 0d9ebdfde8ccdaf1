// Hears other services' events: through durable pull consumers, batch first, one by one on failure, dead letters last.

import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Message } from '@bufbuild/protobuf';
import type { ConsumerMessages, JetStreamClient, JsMsg } from '@nats-io/jetstream';
import { crashPoint } from '../crash-point.ts';
import type { Database } from '../database/db.ts';
import { backoff } from '../flow/backoff.ts';
import { InFlight } from '../flow/in-flight.ts';
import { restAfter, type Loop } from '../flow/loop.ts';
import type { Log } from '../telemetry/log.ts';
import { durableOf, eventKind } from './contracts.ts';
import { buryEvent } from './dead-letters.ts';
import { handleNew, handleOnce, isRepeat, readEvent, type Heard, type RawEvent, type Reaction } from './inbox.ts';
import { headersOf } from './message-headers.ts';

export { on, type Heard, type Reaction } from './inbox.ts';

/** Events handled in one transaction: half of what the broker lets a consumer leave unacknowledged. The more share one, the fewer rows they change twice. */
const BATCH = 500;
/** Batches in flight while there is a backlog: one is read while the database works on the other. A third would only wait for the same rows. */
const LANES = 2;
/** Messages asked for at a time; the consumer's max_ack_pending bounds what lies here unacknowledged. */
const PULL = 1_000;
/** How long the broker keeps a pull that finds nothing: one that it has lost, or kept while the consumer was paused, is asked anew so soon. */
const PULL_EXPIRES_MS = 5_000;
/** Tries before an event is a dead letter: with growing pauses, which the broker ends up to an ack_wait late, one to three minutes. */
const MAX_FAILURES = 8;
/** Longest pause between two tries of one event. */
const MAX_PAUSE_MS = 15_000;
/** A third of the consumer's ack_wait (10 s): how often messages that wait or are being handled here are reported alive. */
const WORKING_MS = 3_000;
/** Failure counts kept; an event that drops out is tried anew. */
const MAX_TRACKED = 10_000;
/** How often a drain looks whether the stream is quiet. */
const DRAIN_POLL_MS = 10;

export type ConsumerOptions = {
  service: string;
  stream: string;
  durable: string;
  db: Database;
  log: Log;
  reactions: ReadonlyMap<string, Reaction>;
  broker: () => JetStreamClient | undefined;
};

/** One for each durable consumer through which the reactions hear. */
export function createConsumers(options: Omit<ConsumerOptions, 'stream' | 'durable'>): Loop[] {
  const kinds = [...options.reactions.values()].map((reaction) => eventKind(reaction.schema));
  const places = kinds.map((kind) => ({ stream: kind.stream, durable: durableOf(options.service, kind) }));
  return [...new Map(places.map((place) => [`${place.stream} ${place.durable}`, place])).values()].map((place) => createConsumer({ ...options, ...place }));
}

export function createConsumer(options: ConsumerOptions): Loop {
  const { stream, durable, db, reactions, broker } = options;
  const log = options.log.child({ stream, durable });
  const queue: JsMsg[] = [];
  const failures = new Map<string, number>();
  const handling = new InFlight<JsMsg[]>();
  const lanes = new Set<Promise<void>>();
  let messages: ConsumerMessages | undefined;

  const handleQueue = async () => {
    // The end of the event-loop turn, so that all messages of one packet travel together.
    await setImmediate();
    while (queue.length > 0) {
      const began = performance.now();
      const batch = queue.splice(0, BATCH);
      const handled = handling.add(batch);
      await handleBatch(batch).finally(handled);
      const restMs = restAfter(batch.length, performance.now() - began);
      if (restMs > 0) await setTimeout(restMs);
    }
  };
  const take = (message: JsMsg) => {
    queue.push(message);
    if (lanes.size >= (queue.length < BATCH ? 1 : LANES)) return;
    const lane: Promise<void> = handleQueue().finally(() => lanes.delete(lane));
    lanes.add(lane);
  };

  async function handleBatch(batch: JsMsg[]): Promise<void> {
    const readable: { message: JsMsg; event: Heard<Message> }[] = [];
    for (const message of batch) {
      try {
        readable.push({ message, event: readEvent({ headers: headersOf(message), body: message.data }, reactions) });
      } catch (error) {
        await bury(message, error as Error);
      }
    }
    if (readable.length === 0) return;
    crashPoint('consumer.received');
    try {
      const events = readable.map(({ event }) => event);
      await handle(events);
      crashPoint('consumer.committed');
      readable.forEach(({ message }) => message.ack());
    } catch (error) {
      if (isOutage(error)) readable.forEach(({ message }) => message.nak(backoff(message.info.deliveryCount, { maxMs: MAX_PAUSE_MS })));
      else for (const { message, event } of readable) await handleAlone(message, event);
    }
  }

  /** Repeats are rare, so events are looked for in the inbox only when one turned out to be there. */
  async function handle(events: Heard<Message>[]): Promise<void> {
    try {
      return await db.transaction((tx) => handleNew(tx, events, reactions));
    } catch (error) {
      if (!isRepeat(error)) throw error;
    }
    await db.transaction((tx) => handleOnce(tx, events, reactions));
  }

  async function handleAlone(message: JsMsg, event: Heard<Message>): Promise<void> {
    try {
      await handle([event]);
      failures.delete(event.id);
      message.ack();
    } catch (error) {
      if (isOutage(error)) return message.nak(backoff(message.info.deliveryCount, { maxMs: MAX_PAUSE_MS }));
      const count = (failures.get(event.id) ?? 0) + 1;
      log.warn({ err: error, eventId: event.id, type: event.type, failures: count }, 'an event failed');
      if (count >= MAX_FAILURES) {
        failures.delete(event.id);
        return bury(message, error as Error);
      }
      if (failures.size < MAX_TRACKED) failures.set(event.id, count);
      message.nak(backoff(count, { maxMs: MAX_PAUSE_MS }));
    }
  }

  async function bury(message: JsMsg, cause: Error): Promise<void> {
    try {
      await buryEvent(db, rawEvent(message), cause);
      message.ack();
      log.error({ err: cause, subject: message.subject, sequence: message.seq }, 'an event is a dead letter');
    } catch (error) {
      log.warn({ err: error }, 'a dead letter could not be written');
      message.nak(backoff(message.info.deliveryCount, { maxMs: MAX_PAUSE_MS }));
    }
  }

  async function consume(js: JetStreamClient, signal: AbortSignal): Promise<void> {
    const consumer = await js.consumers.get(stream, durable);
    messages = await consumer.consume({ max_messages: PULL, expires: PULL_EXPIRES_MS, callback: take, abort_on_missing_resource: true });
    const stop = () => void messages?.close();
    signal.addEventListener('abort', stop);
    let seenBefore = new Set<JsMsg>();
    const working = setInterval(() => {
      const held = [queue, ...handling].flat();
      for (const message of held) if (seenBefore.has(message)) message.working();
      seenBefore = new Set(held);
    }, WORKING_MS);
    try {
      const ended = await messages.closed();
      if (ended instanceof Error) throw ended;
    } finally {
      clearInterval(working);
      signal.removeEventListener('abort', stop);
      // What is still queued belongs to nobody here any more; it is delivered again.
      if (signal.aborted) queue.splice(0).forEach((message) => message.nak());
      await Promise.all(lanes);
    }
  }

  return {
    name: `consumer ${stream} ${durable}`,
    tick: async () => queue.length,
    poke() {},
    async drain() {
      for (;;) {
        await Promise.all(lanes);
        const js = broker();
        if (js === undefined) throw new Error('the broker is away');
        const info = await (await js.consumers.get(stream, durable)).info();
        if (info.num_pending === 0 && info.num_ack_pending === 0 && queue.length === 0) return;
        await setTimeout(DRAIN_POLL_MS);
      }
    },
    async start(signal) {
      for (let ends = 0; !signal.aborted; ends += 1) {
        const js = broker();
        try {
          if (js !== undefined) await consume(js, signal);
        } catch (error) {
          log.warn({ err: error }, 'consuming ended, it starts again');
        }
        await setTimeout(backoff(Math.min(ends + 1, 4)), undefined, { signal }).catch(() => {});
      }
    },
  };
}

/** The database is away: not the event's fault, so it is never buried for it. */
function isOutage(error: unknown): boolean {
  return (error as { reason?: unknown }).reason === 'DEPENDENCY_UNAVAILABLE';
}

function rawEvent(message: JsMsg): RawEvent {
  return { stream: message.info.stream, sequence: BigInt(message.seq), subject: message.subject, headers: headersOf(message), body: message.data, deliveries: message.info.deliveryCount };
}
