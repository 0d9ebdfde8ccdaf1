// Clients for the neighbours: Connect over one HTTP/2 connection per URL, with a deadline always, and retries where they can't hurt.
import type { ClientHttp2Stream } from 'node:http2';
import net from 'node:net';
import { setTimeout } from 'node:timers/promises';
import type { DescService } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel as Idempotency } from '@bufbuild/protobuf/wkt';
import { type Client, Code, ConnectError, type Interceptor, type Transport, createClient } from '@connectrpc/connect';
import { Http2SessionManager, createConnectTransport } from '@connectrpc/connect-node';
import { errorInfo, retryAfter } from '../api/errors.ts';
import { backoff } from '../flow/backoff.ts';
import { CHANNEL_PATH, CHANNEL_TYPE } from '../server/channel.ts';
import { createChannel } from './channel-client.ts';
import { type Ways, callUnary } from './unary-client.ts';

export const TIMEOUT_MS = 5_000;
/** For streams that nobody gave a deadline: just longer than our servers let them run. */
const STREAM_TIMEOUT_MS = 3_660_000;
/** Without it a lost SYN is repeated by the kernel at ever longer intervals, long after the network is back. */
const CONNECT_TIMEOUT_MS = 3_000;
/** A peer that stands still is given up after this and this. */
const PING_INTERVAL_MS = 10_000;
const PING_TIMEOUT_MS = 5_000;
/** Below the server's idle limit, so that it is the client that lets go and no request meets a closing connection. */
const IDLE_MS = 45_000;
/** A full batch of the largest products. */
const MAX_RESPONSE_BYTES = 33_554_432;
const MAX_ATTEMPTS = 3;
const PAUSES = { baseMs: 20, maxMs: 200 };
/** Who is told to come back later than this is better told by us than kept waiting. */
const LONGEST_PAUSE_MS = 1_000;
/** Retries that may be owed to one URL; a tenth of one is earned by each success. When everything fails, retries stop instead of adding a load of their own. */
const BUDGET = 10;
const EARNED = 0.1;
/** A neighbour that restarts is waited for; one that has been away for longer is not, so that callers hear at once and no queue grows. */
const PATIENCE_MS = 3_000;

// One entry for each neighbour's URL, of which there are a handful.
const peers = new Map<string, Peer>();
const unknownOutcomes = new WeakSet<object>();

export function createServiceClient<S extends DescService>(service: S, options: { url: string; token: string; timeoutMs?: number }): Client<S> {
  const peer = peerAt(options.url);
  const authorization = `Bearer ${options.token}`;
  const streams = createConnectTransport({
    httpVersion: '2',
    baseUrl: options.url,
    sessionManager: peer.sessions,
    readMaxBytes: MAX_RESPONSE_BYTES,
    acceptCompression: [], // neighbours are near: packing costs more than sending
    interceptors: [withToken(authorization), honestErrors],
  });
  const transport: Transport = {
    // To connect-es a timeout of 0 or less is none at all; what a handler has left of its own deadline can be just that.
    stream: async (method, signal, asked = STREAM_TIMEOUT_MS, ...rest) => streams.stream(method, signal, Math.max(1, asked), ...rest),
    async unary(method, signal, asked = options.timeoutMs ?? TIMEOUT_MS, header, input) {
      const until = performance.now() + asked;
      const headers = { ...plain(header), authorization };
      return retrying(peer, { isRead: method.idempotency === Idempotency.NO_SIDE_EFFECTS, until, signal }, async () => {
        try {
          return await callUnary(peer, method, input, { headers, timeoutMs: Math.max(1, until - performance.now()), signal, maxBytes: MAX_RESPONSE_BYTES });
        } catch (error) {
          throw signal?.aborted ? error : asUnavailable(error);
        }
      });
    },
  };
  return createClient(service, transport);
}

/** Whether the call may have been carried out although it failed. */
export function isOutcomeUnknown(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  if (unknownOutcomes.has(error) || [Code.DeadlineExceeded, Code.Canceled, Code.Internal, Code.Unknown].includes(error.code)) return true;
  // OVERLOADED is said before work begins; DEPENDENCY_UNAVAILABLE may be said when a commit got no answer.
  return error.code === Code.Unavailable && error.isWireError && errorInfo(error)?.reason !== 'OVERLOADED';
}

function peerAt(url: string): Peer {
  const { origin, protocol } = new URL(url);
  let peer = peers.get(origin);
  if (!peer) {
    const pings = { pingIntervalMs: PING_INTERVAL_MS, pingTimeoutMs: PING_TIMEOUT_MS, idleConnectionTimeoutMs: IDLE_MS };
    const sessions = new Http2SessionManager(origin, pings, protocol === 'http:' ? { createConnection: connect } : {});
    // What comes often is batched before: it comes at the end of a turn, and would wait for the end of the next.
    peer = { sessions, channel: createChannel(async () => openChannel(sessions), { gather: queueMicrotask }), budget: BUDGET };
    peers.set(origin, peer);
  }
  return peer;
}

async function openChannel(sessions: Http2SessionManager): Promise<ClientHttp2Stream> {
  const stream = await sessions.request('POST', CHANNEL_PATH, { 'content-type': CHANNEL_TYPE }, {});
  return stream.on('data', () => sessions.notifyResponseByteRead(stream));
}

function connect(authority: URL): net.Socket {
  const socket = net.connect({ host: authority.hostname.replace(/^\[|\]$/g, ''), port: Number(authority.port || 80), noDelay: true });
  socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(Object.assign(new Error('connecting took too long'), { code: 'ETIMEDOUT', syscall: 'connect' })));
  return socket.once('connect', () => socket.setTimeout(0));
}

function withToken(authorization: string): Interceptor {
  return (next) => async (request) => {
    request.header.set('authorization', authorization);
    return next(request);
  };
}

function plain(header: HeadersInit | undefined): Record<string, string> {
  return header === undefined ? {} : Object.fromEntries(new Headers(header));
}

type Repeating = { isRead: boolean; until: number; signal: AbortSignal | undefined };

async function retrying<T>(peer: Peer, { isRead, until, signal }: Repeating, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await call();
      peer.budget = Math.min(BUDGET, peer.budget + EARNED);
      peer.awaySince = undefined;
      return response;
    } catch (error) {
      const pause = Math.max(backoff(attempt, PAUSES), retryAfter(error) ?? 0);
      const repeat = neverSent(error) ? isBrieflyAway(peer) : isRead && isUnavailable(error) && attempt < MAX_ATTEMPTS && takeFrom(peer);
      if (!repeat || pause > LONGEST_PAUSE_MS || performance.now() + pause >= until || signal?.aborted) throw error;
      await setTimeout(pause, undefined, { signal });
    }
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.Unavailable;
}

function isBrieflyAway(peer: Peer): boolean {
  peer.awaySince ??= performance.now();
  return performance.now() - peer.awaySince < PATIENCE_MS;
}

function takeFrom(peer: Peer): boolean {
  if (peer.budget < 1) return false;
  peer.budget -= 1;
  return true;
}

// A neighbour that dies in the middle of a call looks like a cancellation that nobody asked for: the call may have been carried out.
const honestErrors: Interceptor = (next) => async (request) => {
  const honest = (error: unknown): unknown => (request.signal.aborted ? error : asUnavailable(error));
  try {
    const response = await next(request);
    return response.stream ? { ...response, message: mapErrors(response.message, honest) } : response;
  } catch (error) {
    throw honest(error);
  }
};

function asUnavailable(error: unknown): unknown {
  if (!(error instanceof ConnectError) || error.isWireError) return error;
  const isLost = [Code.Canceled, Code.Aborted, Code.Unavailable].includes(error.code) || error.rawMessage.startsWith('http/2 stream closed');
  if (!isLost) return error;
  if (neverSent(error)) return new ConnectError('the neighbour can not be reached', Code.Unavailable, undefined, undefined, error);
  const lost = new ConnectError('the connection was lost in the middle of a call; the outcome is unknown', Code.Unavailable, undefined, undefined, error);
  unknownOutcomes.add(lost);
  return lost;
}

// The kernel refused the connection, or the server the stream: no handler has seen it.
function neverSent(error: unknown): boolean {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const { code = '', syscall } = cause as NodeJS.ErrnoException;
    if (cause.message.includes('REFUSED_STREAM') || ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN'].includes(code)) return true;
    if (code === 'ETIMEDOUT' && syscall === 'connect') return true;
  }
  return false;
}

async function* mapErrors<T>(messages: AsyncIterable<T>, map: (error: unknown) => unknown): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    throw map(error);
  }
}

type Peer = Ways & { budget: number; awaySince?: number };
