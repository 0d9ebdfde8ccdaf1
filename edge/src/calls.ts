// An RPC at the edge: who calls, whether there is room, and then the way to the service and back.
import { Code, ConnectError } from '@connectrpc/connect';
import type { Caller } from '@millrace/chassis/auth';
import { refuse, toConnectError } from '@millrace/chassis/errors';
import { constants } from 'node:http2';
import { BODY_MS, GRACE_MS, settleDeadline } from './deadline.ts';
import { type Ending, forward } from './forward.ts';
import { identify, inwardHeaders, requestLine } from './headers.ts';
import { type Req, type Res, abort, isGone } from './http.ts';
import type { Neighbour } from './neighbours.ts';
import type { Speech } from './protocol.ts';
import type { RateLimit } from './rate-limit.ts';
import { grpcStatus, refuseCall } from './refusal.ts';
import { type Rpc, SERVICE_HEADER, SERVICE_NAMES, type ServiceName, isServiceName } from './routes.ts';

export type CallDeps = {
  verify: (authorization: string | null) => Promise<Caller>;
  rateLimit: RateLimit;
  neighbours: Record<ServiceName, Neighbour>;
};

/** When a neighbour's own words about coming back are missing. */
const RETRY_MS = 250;

/** Serves one call; resolves with what became of it, for the metrics. Never throws what the caller caused. */
export async function serveCall(deps: CallDeps, req: Req, res: Res, rpc: Rpc, speech: Speech): Promise<string> {
  let giveBack: (() => void) | undefined;
  try {
    const caller = await deps.verify(req.headers.authorization ?? null);
    if (isGone(req)) return 'gone';
    const wait = deps.rateLimit(caller.subject);
    if (wait > 0) throw refuse('RATE_LIMITED', 'too many calls', {}, wait);
    const neighbour = deps.neighbours[rpc.owner ?? namedService(req)];
    giveBack = takePlace(neighbour, rpc, caller.subject);
    return await carry(req, res, rpc, speech, neighbour);
  } catch (error) {
    const refusal = toConnectError(error);
    refuseCall(req, res, speech, refusal);
    return Code[refusal.code];
  } finally {
    giveBack?.();
  }
}

async function carry(req: Req, res: Res, rpc: Rpc, speech: Speech, neighbour: Neighbour): Promise<string> {
  const headers = inwardHeaders(req.headers);
  res.setHeader('x-request-id', identify(headers));
  const deadlineMs = settleDeadline(speech.protocol, rpc.unary, headers) + GRACE_MS;
  if (speech.protocol === 'grpc') headers['te'] = 'trailers';
  const upstream = neighbour.request(requestLine(req.method ?? '', req.url ?? '', headers));
  if (typeof upstream === 'number') throw away(neighbour.name, upstream);

  const ending = await forward(req, res, upstream, { deadlineMs, bodyMs: rpc.unary ? BODY_MS : undefined });
  switch (ending.kind) {
    case 'answered':
      return ending.trailers?.['grpc-status'] === undefined ? String(ending.status) : Code[Number(ending.trailers['grpc-status'])] ?? 'ok';
    case 'caller went away':
    case 'too large': // only webhooks have a limit here; the services have theirs
      return 'gone';
    case 'late':
    case 'broke':
      return giveUp(req, res, speech, failureOf(neighbour.name, ending), ending.begun);
    default:
      return ending satisfies never;
  }
}

// An answer that has begun can only be ended with the error where the protocol has room for one after the body.
function giveUp(req: Req, res: Res, speech: Speech, error: Error, begun: boolean): string {
  if (!begun) throw error;
  const refusal = toConnectError(error);
  if (speech.protocol === 'grpc') {
    res.addTrailers(grpcStatus(refusal));
    res.end();
  } else {
    abort(req, res);
  }
  return Code[refusal.code];
}

function failureOf(service: string, ending: Ending & { kind: 'late' | 'broke' }): Error {
  if (ending.kind === 'late') return refuse('DEADLINE_EXCEEDED', 'the deadline passed; the outcome is unknown');
  if (ending.code === constants.NGHTTP2_ENHANCE_YOUR_CALM) return refuse('OVERLOADED', `${service} has more to do than it can`, { service }, RETRY_MS);
  return away(service, RETRY_MS);
}

function away(service: string, retryAfterMs: number): Error {
  return refuse('DEPENDENCY_UNAVAILABLE', `${service} is away; the outcome is unknown if the call had begun`, { service }, retryAfterMs);
}

function takePlace(neighbour: Neighbour, rpc: Rpc, subject: string): () => void {
  const place = (rpc.unary ? neighbour.calls : neighbour.streams).take(subject);
  if (place === 'full') throw refuse('OVERLOADED', `${neighbour.name} has as many calls in flight as it may`, { service: neighbour.name }, RETRY_MS);
  if (place === 'share used up') throw refuse('RATE_LIMITED', 'too many calls in flight for one caller', { service: neighbour.name }, RETRY_MS);
  return place;
}

function namedService(req: Req): ServiceName {
  const name = req.headers[SERVICE_HEADER];
  if (isServiceName(name)) return name;
  throw refuse('INVALID_FIELD', `every service has its own: name one with the header ${SERVICE_HEADER}: ${SERVICE_NAMES.join(' | ')}`, { header: SERVICE_HEADER, choices: SERVICE_NAMES.join(',') });
}

export function unimplemented(path: string): ConnectError {
  return new ConnectError(`there is no ${path}`, Code.Unimplemented);
}
