// How long a call may take: the caller's own deadline, or the services' limits where it has none or a longer one.
import { parseTimeout as parseConnect } from '@connectrpc/connect/protocol-connect';
import { parseTimeout as parseGrpc } from '@connectrpc/connect/protocol-grpc';
import { DEADLINES } from '@millrace/chassis/api/deadline';
import type { HeaderBag } from './http.ts';
import type { Protocol } from './protocol.ts';

/** The service ends its call at the deadline; the edge only when it doesn't. */
export const GRACE_MS = 500;

/** Milliseconds for this call. */
export function deadlineOf(protocol: Protocol, unary: boolean, headers: HeaderBag): number {
  const most = unary ? DEADLINES.unaryMs : DEADLINES.serverStreamMs;
  const grpc = protocol === 'grpc' || protocol === 'grpc-web';
  const sent = headers[grpc ? 'grpc-timeout' : 'connect-timeout-ms'];
  if (typeof sent !== 'string') return most;
  // A malformed one travels on, for the service to refuse.
  return Math.min(most, (grpc ? parseGrpc : parseConnect)(sent, most).timeoutMs ?? most);
}
