// An RPC at the edge: who calls, whether there is room, and then the way to the service and back.
import { type ClientHttp2Stream, constants } from 'node:http2';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Verifier } from '@millrace/chassis/api/auth';
import { refuse, toConnectError } from '@millrace/chassis/api/errors';
import { SERVICE_HEADER, namedService } from '@millrace/chassis/api/named-service';
import type { Log } from '@millrace/chassis/telemetry/log';
import { scrub } from '@millrace/chassis/telemetry/scrub';
import type { Bodies } from './body.ts';
import { isBundledCall } from './bundler.ts';
import { GRACE_MS, deadlineOf } from './deadline.ts';
import { type Broken, type Ending, forward, passOn } from './forward.ts';
import { identify, inwardHeaders, requestLine } from './headers.ts';
import { type HeaderBag, type Req, type Res, isGone } from './http.ts';
import type { Neighbour, Neighbours } from './neighbours.ts';
import type { Speech } from './protocol.ts';
import type { RateLimit } from './rate-limit.ts';
import { endCall, refuseCall } from './refusal.ts';
import { type Rpc, SERVICE_NAMES } from './routes.ts';
import type { Upstream } from './upstream.ts';

export type CallDeps = { verify: Verifier; rateLimit: RateLimit; neighbours: Neighbours; bodies: Bodies; stopping: AbortSignal; log: Log };

/** How soon to come back when nobody knows better. */
const RETRY_MS = 250;
/** Sendings of one call. Only one that the service is sure not to have seen is sent again: it was just stopping. */
const MAX_SENDINGS = 4;

/** Serves one call; resolves to what became of it, for the metrics. Never throws what the caller caused. */
export async function serveCall(deps: CallDeps, req: Req, res: Res, rpc: Rpc, speech: Speech): Promise<string> {
  const headers = inwardHeaders(req.headers);
  const requestId = identify(headers);
  res.setHeader('x-request-id', requestId);
  let giveBack: (() => void) | undefined;
  try {
    const { subject } = await deps.verify(req.headers.authorization ?? null);
    if (isGone(req)) return 'gone';
    const waitMs = deps.rateLimit(subject);
    if (waitMs > 0) throw refuse('RATE_LIMITED', 'too many calls in a short time', {}, waitMs);
    const owner = rpc.owner ?? namedService(req.headers[SERVICE_HEADER], SERVICE_NAMES);
    // Said on: several services may share a port.
    if (rpc.owner === undefined) headers[SERVICE_HEADER] = owner;
    const neighbour = deps.neighbours[owner];
    giveBack = takePlace(neighbour, rpc, subject);
    const ending = rpc.unary ? await carryUnary(deps, req, res, speech, neighbour, headers) : await carryStream(deps, req, res, speech, neighbour, headers);
    return conclude(req, res, speech, neighbour, ending);
  } catch (error) {
    const refusal = toConnectError(error, deps.log, requestId);
    refuseCall(req, res, speech, refusal);
    return Code[refusal.code];
  } finally {
    giveBack?.();
  }
}

async function carryUnary({ bodies }: CallDeps, req: Req, res: Res, speech: Speech, neighbour: Neighbour, headers: HeaderBag): Promise<Ending> {
  const deadlineMs = deadlineOf(speech.protocol, true, headers) + GRACE_MS;
  const read = await bodies.read(req);
  if (!read) return { kind: 'caller went away' };
  try {
    if (isBundledCall(req.method ?? '', req.url ?? '', headers, read.bytes)) {
      const carried = await neighbour.bundler.carry({ path: req.url ?? '', headers, body: read.bytes, deadlineMs, res });
      if (carried.kind === 'answered') return passOn(req, res, carried.answer);
      if (carried.kind !== 'alone') return carried;
    }
    for (let sending = 1; ; sending += 1) {
      const upstream = await openStream(req, neighbour.forCalls, headers, { endStream: read.bytes.length === 0 });
      const ending = await forward({ req, res, upstream, body: read.bytes, deadlineMs });
      if (!isUnseen(upstream, ending) || sending >= MAX_SENDINGS) return ending;
    }
  } finally {
    read.release();
  }
}

async function carryStream({ stopping }: CallDeps, req: Req, res: Res, speech: Speech, neighbour: Neighbour, headers: HeaderBag): Promise<Ending> {
  const cancel = new AbortController();
  const upstream = await openStream(req, neighbour.forStreams, headers, { signal: cancel.signal });
  return forward({ req, res, upstream, body: undefined, cancel, deadlineMs: deadlineOf(speech.protocol, false, headers) + GRACE_MS, stopping });
}

async function openStream(req: Req, to: Upstream, headers: HeaderBag, options: { endStream?: boolean; signal?: AbortSignal }): Promise<ClientHttp2Stream> {
  for (let tries = 1; ; tries += 1) {
    const opened = to.request(requestLine(req.method ?? '', req.url ?? '', headers), options);
    if (typeof opened !== 'number') return opened;
    if (tries >= MAX_SENDINGS || !(await to.comesBack())) throw away(to.name, opened);
  }
}

// Refused by a service that was stopping, or never sent because the connection was never made.
function isUnseen(upstream: ClientHttp2Stream, ending: Ending): boolean {
  return ending.kind === 'broke' && !ending.begun && (ending.code === constants.NGHTTP2_REFUSED_STREAM || upstream.id === undefined);
}

function conclude(req: Req, res: Res, speech: Speech, neighbour: Neighbour, ending: Ending): string {
  switch (ending.kind) {
    case 'answered': {
      const status = Number(ending.trailers?.['grpc-status'] ?? -1);
      return status < 0 ? String(ending.status) : status === 0 ? 'ok' : (Code[status] ?? 'Unknown');
    }
    case 'caller went away':
      return 'gone';
    case 'late':
    case 'stopping':
    case 'broke': {
      const error = failureOf(neighbour.name, ending);
      if (!ending.begun) throw error;
      const refusal = toConnectError(error);
      endCall(req, res, speech, refusal, ending.whole);
      return Code[refusal.code];
    }
    default:
      return ending satisfies never;
  }
}

function failureOf(service: string, ending: Broken): Error {
  if (ending.kind === 'late') return refuse('DEADLINE_EXCEEDED', 'the deadline passed; the outcome is unknown');
  if (ending.kind === 'stopping') return refuse('OVERLOADED', 'the edge is stopping; open it again', {}, RETRY_MS);
  if (ending.code === constants.NGHTTP2_ENHANCE_YOUR_CALM) return refuse('OVERLOADED', `${service} has more to do than it can`, { service }, RETRY_MS);
  return away(service, RETRY_MS);
}

function away(service: string, retryAfterMs: number): Error {
  return refuse('DEPENDENCY_UNAVAILABLE', `${service} is away; if the call had begun, its outcome is unknown`, { service }, retryAfterMs);
}

function takePlace(neighbour: Neighbour, rpc: Rpc, subject: string): () => void {
  const place = (rpc.unary ? neighbour.calls : neighbour.streams).take(subject);
  if (place === 'full') throw refuse('OVERLOADED', `${neighbour.name} has as many calls in flight as it may`, { service: neighbour.name }, RETRY_MS);
  if (place === 'share used up') throw refuse('RATE_LIMITED', 'too many calls in flight for one caller', { service: neighbour.name }, RETRY_MS);
  return place;
}

export function unimplemented(path: string): ConnectError {
  return new ConnectError(`there is no ${scrub(path)}`, Code.Unimplemented);
}
