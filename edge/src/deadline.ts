// How long a call may take: the caller's own deadline within our limits, ours where there is none.
// Source of the formats: the Connect and gRPC-over-HTTP/2 protocol specifications.
import { parseTimeout as parseConnect } from '@connectrpc/connect/protocol-connect';
import { parseTimeout as parseGrpc } from '@connectrpc/connect/protocol-grpc';
import type { HeaderBag } from './http.ts';
import type { Protocol } from './protocol.ts';

/** Our services answer in milliseconds; a call that takes this long has gone wrong. */
export const UNARY_MS = 30_000;
/** Watchers come back and go on where they were; an hour keeps forgotten ones from piling up. */
export const STREAM_MS = 3_600_000;
/** The service ends the call at its deadline, in the caller's protocol; the edge only when it doesn't. */
export const GRACE_MS = 500;
/** A unary request is one message of at most 1 MiB: slower than this is somebody holding a place. */
export const BODY_MS = 10_000;

/** Milliseconds for this call; `headers` is made to tell the service the same. */
export function settleDeadline(protocol: Protocol, unary: boolean, headers: HeaderBag): number {
  const most = unary ? UNARY_MS : STREAM_MS;
  const grpc = protocol === 'grpc' || protocol === 'grpc-web';
  const name = grpc ? 'grpc-timeout' : 'connect-timeout-ms';
  const sent = headers[name];
  if (typeof sent === 'string') {
    const { timeoutMs } = (grpc ? parseGrpc : parseConnect)(sent, most);
    if (timeoutMs === undefined) return most; // malformed: the service says so
    if (timeoutMs <= most) return timeoutMs;
  }
  headers[name] = grpc ? `${most}m` : String(most);
  return most;
}
