// Reads the ids of all events in a stream, through a consumer of the auditor's own that leaves nothing behind.
import { DeliverPolicy, type JsMsg, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { type NatsConnection, connect } from '@nats-io/transport-node';
import { SourceAwayError } from './database.ts';

const CONNECT_MS = 5_000;
/** Messages asked for at a time; headers only, so about a kilobyte each. */
const PULL = 5_000;
/** A stream that sends nothing for so long has stopped. */
const IDLE_MS = 15_000;

/** An event's id, when it was said, and when the stream got it, in milliseconds. */
type Each = (id: string, time: string, stored: number) => void;
export type Streams = { read(stream: string, since: Date | undefined, each: Each): Promise<void>; close(): Promise<void> };

export async function openStreams(url: string): Promise<Streams> {
  const connection = await open(url);
  const manager = await jetstreamManager(connection);
  return {
    async read(stream, since, each) {
      try {
        const { state } = await manager.streams.info(stream);
        const end = state.last_seq;
        if (state.messages === 0) return;
        const consumer = await jetstream(connection).consumers.get(stream, {
          headers_only: true,
          ...(since ? { deliver_policy: DeliverPolicy.StartTime, opt_start_time: since.toISOString() } : { deliver_policy: DeliverPolicy.All }),
        });
        if ((await consumer.info()).num_pending > 0) await readTo(consumer, end, each);
        await consumer.delete();
      } catch (error) {
        throw new SourceAwayError('streams', error);
      }
    },
    close: () => connection.close(),
  };
}

async function readTo(consumer: Awaited<ReturnType<ReturnType<typeof jetstream>['consumers']['get']>>, end: number, each: Each): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const watch = setTimeout(() => reject(new Error('it stopped sending')), IDLE_MS);
    const callback = (message: JsMsg) => {
      watch.refresh();
      each(message.headers?.get('ce-id') ?? '', message.headers?.get('ce-time') ?? '', message.info.timestampNanos / 1e6);
      if (message.seq >= end) finish();
    };
    const messages = consumer.consume({ max_messages: PULL, callback });
    const finish = () => {
      clearTimeout(watch);
      void messages.then((open) => open.close()).then(() => resolve(), reject);
    };
    messages.catch(reject);
  });
}

async function open(url: string): Promise<NatsConnection> {
  try {
    const { host, username, password } = new URL(url);
    const login = username ? { user: decodeURIComponent(username), pass: decodeURIComponent(password) } : {};
    return await connect({ servers: host, ...login, timeout: CONNECT_MS, reconnect: false, name: 'millrace audit' });
  } catch (error) {
    throw new SourceAwayError('streams', error);
  }
}
