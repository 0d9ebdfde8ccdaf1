// Which headers travel on, in either direction.
import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import { SERVICE_HEADER } from '@millrace/chassis/api/named-service';
import type { HeaderBag } from './http.ts';

// Hop-by-hop (RFC 9110, 7.6.1), and what only an edge may say.
const STAYS = new Set([
  'host', 'connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailer',
  'transfer-encoding', 'upgrade', 'http2-settings', 'expect', 'forwarded', 'via', 'x-real-ip', SERVICE_HEADER,
]);
/** Ours inside; a caller that sends them is not believed. */
const INTERNAL = ['x-millrace-', 'x-forwarded-'];

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** What the service gets to see of a caller's headers. */
export function inwardHeaders(from: IncomingHttpHeaders): HeaderBag {
  const kept: HeaderBag = {};
  for (const name in from) {
    if (name.startsWith(':') || STAYS.has(name) || INTERNAL.some((prefix) => name.startsWith(prefix))) continue;
    kept[name] = from[name];
  }
  // Whatever "Connection" names is for this hop only.
  const { connection } = from;
  if (typeof connection === 'string' && connection !== 'keep-alive') for (const name of connection.split(',')) delete kept[name.trim().toLowerCase()];
  return kept;
}

/** Makes sure that a call can be followed; answers its request id. */
export function identify(headers: HeaderBag): string {
  const sent = headers['x-request-id'];
  const requestId = typeof sent === 'string' && REQUEST_ID.test(sent) ? sent : hex(16);
  headers['x-request-id'] = requestId;
  const trace = headers['traceparent'];
  if (typeof trace !== 'string' || !TRACEPARENT.test(trace)) headers['traceparent'] = `00-${hex(16)}-${hex(8)}-01`;
  return requestId;
}

/** What the caller gets to see of a service's headers or trailers. */
export function outwardHeaders(from: IncomingHttpHeaders): HeaderBag {
  const kept: HeaderBag = {};
  for (const name in from) if (!name.startsWith(':') && !STAYS.has(name)) kept[name] = from[name];
  return kept;
}

/** The headers of an HTTP/2 request; gRPC wants to hear that we take trailers. */
export function requestLine(method: string, path: string, headers: HeaderBag): OutgoingHttpHeaders {
  return { ':method': method, ':path': path, te: 'trailers', ...headers };
}

const POOL_BYTES = 4_096;
let pool = randomBytes(POOL_BYTES);
let used = 0;

// Random bytes one id at a time cost more than forwarding the headers.
function hex(bytes: number): string {
  if (used + bytes > POOL_BYTES) {
    pool = randomBytes(POOL_BYTES);
    used = 0;
  }
  used += bytes;
  return pool.toString('hex', used - bytes, used);
}
