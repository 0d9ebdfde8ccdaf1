// The five services as the edge sees them: the way there, the places for calls, and whether they may serve.
import type { ClientHttp2Stream } from 'node:http2';
import type { Log } from '@millrace/chassis/telemetry/log';
import { type Bundler, createBundler } from './bundler.ts';
import { MAX_CALLS, MAX_STREAMS, type Places, createPlaces } from './places.ts';
import { SERVICE_NAMES, type ServiceName } from './routes.ts';
import { type Upstream, createUpstream } from './upstream.ts';

/** Streams have a session of their own: a service takes a thousand at once on each, and watchers stay for an hour. */
export type Neighbour = { name: ServiceName; forCalls: Upstream; forStreams: Upstream; bundler: Bundler; calls: Places; streams: Places };
export type Neighbours = Record<ServiceName, Neighbour>;

/**
 * Bytes of answers that may be under way to us on one stream. Answers of a moment share one: with HTTP/2's 64 KiB a page of 500 orders held up all
 * behind it for several turns of both sides. Whole answers are in memory here anyway until their callers take them.
 */
const CALL_WINDOW = 4_194_304;
/** A service that doesn't say within this that it is ready isn't. */
const READY_MS = 1_000;

export function createNeighbours(urls: Record<ServiceName, string>, log: Log): Neighbours {
  const neighbour = (name: ServiceName): Neighbour => {
    const forCalls = createUpstream({ name, url: urls[name], log, streamWindow: CALL_WINDOW });
    return {
      name,
      forCalls,
      forStreams: createUpstream({ name, url: urls[name], log }),
      bundler: createBundler(forCalls),
      calls: createPlaces(MAX_CALLS),
      streams: createPlaces(MAX_STREAMS),
    };
  };
  return Object.fromEntries(SERVICE_NAMES.map((name) => [name, neighbour(name)])) as Neighbours;
}

export function closeNeighbours(neighbours: Neighbours): void {
  for (const name of SERVICE_NAMES) {
    neighbours[name].bundler.close();
    neighbours[name].forCalls.close();
    neighbours[name].forStreams.close();
  }
}

/** Ready when all five are; `detail` says it of each. */
export async function readiness(neighbours: Neighbours): Promise<{ ok: boolean; detail: Record<string, string> }> {
  const states = await Promise.all(SERVICE_NAMES.map(async (name) => [name, (await isReady(neighbours[name])) ? 'ready' : 'not ready'] as const));
  return { ok: states.every(([, state]) => state === 'ready'), detail: Object.fromEntries(states) };
}

export async function isReady(neighbour: Neighbour): Promise<boolean> {
  const asked = neighbour.forCalls.request({ ':method': 'GET', ':path': '/readyz' }, { endStream: true });
  return typeof asked !== 'number' && (await statusOf(asked)) === 200;
}

function statusOf(stream: ClientHttp2Stream): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const late = setTimeout(() => stream.close(), READY_MS);
  let status = 0;
  stream.once('response', (headers) => { status = headers[':status'] ?? 0; });
  stream.on('error', () => {});
  stream.once('close', () => {
    clearTimeout(late);
    resolve(status);
  });
  stream.resume();
  return promise;
}
