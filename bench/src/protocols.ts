// How the load client says a unary call, and reads its answer, in the protocols of those who call the edge: back ends, and browsers.
import { Code, ConnectError } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { errorFromJsonBytes } from '@connectrpc/connect/protocol-connect';

export type Protocol = {
  headers: Record<string, string>;
  wrap: (message: Uint8Array) => Uint8Array;
  /** The message of an answer, whose status was 200 or not; throws what the server said. */
  unwrap: (ok: boolean, body: Buffer) => Buffer;
};

/** Flags and length. */
const PREFIX_BYTES = 5;

const connect = (contentType: string, timeoutMs: number): Protocol => ({
  headers: { 'content-type': contentType, 'connect-protocol-version': '1', 'connect-timeout-ms': String(timeoutMs) },
  wrap: (message) => message,
  unwrap(ok, body) {
    if (ok) return body;
    throw errorFromJsonBytes(body, undefined, new ConnectError('refused without a word', Code.Unknown));
  },
});

const PROTOCOLS = {
  Connect: (timeoutMs: number) => connect('application/proto', timeoutMs),
  JSON: (timeoutMs: number) => connect('application/json', timeoutMs),
  gRPC: (timeoutMs: number): Protocol => ({
    headers: { 'content-type': 'application/grpc', te: 'trailers', 'grpc-timeout': `${timeoutMs}m` },
    wrap: (message) => encodeEnvelope(0, message),
    unwrap(ok, body) {
      // What was refused has no message. Why stands in trailers that only a decoder of whole connections could read.
      if (ok && body.length >= PREFIX_BYTES) return body.subarray(PREFIX_BYTES);
      throw new ConnectError('refused', Code.Unknown);
    },
  }),
};

export type ProtocolName = keyof typeof PROTOCOLS;

export function protocolOf(name: ProtocolName, timeoutMs: number): Protocol {
  return PROTOCOLS[name](timeoutMs);
}
