// Reads the ids of all events in a stream, through a consumer of the auditor's own that leaves nothing behind.
import { DeliverPolicy, type JsMsg, jetstream } from '@nats-io/jetstream';
import { type NatsConnection, connect } from '@nats-io/transport-node';
import { SourceAwayError } from './database.ts';

/** A machine under load may take seconds to answer; one that is away mostly refuses at once. */
const CONNECT_MS = 15_000;
/** Messages asked for at a time; headers only, so about a kilobyte each. */
const PULL = 5_000;
/** A stream that sends nothing for so long has stopped. */
const IDLE_MS = 15_000;
const WATCH_EVERY = 100;

/** An event's id, when it was said, and when the stream got it, in milliseconds: asked for, because to know it costs. */
type Each = (id: string, time: string, stored: () => number) => void;
export type Streams = { read(stream: string, since: Date | undefined, each: Each): Promise<void>; close(): Promise<void> };

export async function openStreams(url: string): Promise<Streams> {
  const connection = await open(url);
  return {
    async read(stream, since, each) {
      try {
        const consumer = await jetstream(connection).consumers.get(stream, {
          headers_only: true,
          ...(since ? { deliver_policy: DeliverPolicy.StartTime, opt_start_time: since.toISOString() } : { deliver_policy: DeliverPolicy.All }),
        });
        // What comes later is left out.
        const { num_pending: count } = await consumer.info();
        if (count > 0) await readCount(consumer, count, each);
        await consumer.delete();
      } catch (error) {
        throw new SourceAwayError('streams', error);
      }
    },
    close: () => connection.close(),
  };
}

async function readCount(consumer: Awaited<ReturnType<ReturnType<typeof jetstream>['consumers']['get']>>, count: number, each: Each): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const watch = setTimeout(() => reject(new Error('it stopped sending')), IDLE_MS);
    let left = count;
    const callback = (message: JsMsg) => {
      if (left <= 0) return;
      if (left % WATCH_EVERY === 0) watch.refresh();
      left -= 1;
      const header = readHeaders(message);
      each(header('ce-id'), header('ce-time'), () => message.info.timestampNanos / 1e6);
      if (left === 0) finish();
    };
    const messages = consumer.consume({ max_messages: PULL, callback });
    const finish = () => {
      clearTimeout(watch);
      void messages.then((open) => open.close()).then(() => resolve(), reject);
    };
    messages.catch(reject);
  });
}

/** Two of a dozen headers, out of the bytes: the client's own reading takes all of them apart and a third of the time of an audit. */
function readHeaders(message: JsMsg): (name: string) => string {
  const raw = (message as unknown as { msg?: { _rdata?: Uint8Array; _msg?: { hdr?: number } } }).msg;
  const end = raw?._msg?.hdr ?? 0;
  if (!raw?._rdata || end <= 0) return (name) => message.headers?.get(name) ?? '';
  const bytes = Buffer.from(raw._rdata.buffer, raw._rdata.byteOffset, end);
  return (name) => {
    const at = bytes.indexOf(`\r\n${name}: `, 0, 'latin1') + name.length + 4;
    return at < name.length + 4 ? '' : bytes.toString('latin1', at, bytes.indexOf(13, at));
  };
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
