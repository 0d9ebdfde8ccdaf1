// Errors of the edge itself, in the protocol that the caller speaks.
import type { ConnectError } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { codeToHttpStatus, endStreamFlag, endStreamToJson, errorToJsonBytes } from '@connectrpc/connect/protocol-connect';
import { setTrailerStatus } from '@connectrpc/connect/protocol-grpc';
import { grpcWebTrailers } from '@millrace/chassis/server/unary-protocols';
import { type HeaderBag, type Req, type Res, abort, endRequest, send } from './http.ts';
import type { Speech } from './protocol.ts';

/** A whole answer that says `error`. */
export function refuseCall(req: Req, res: Res, speech: Speech, error: ConnectError): void {
  const { status, headers, body } = toAnswer(speech, error);
  send(req, res, status, headers, body);
}

/** Ends an answer that has begun with `error`, where the protocol has room for it; else breaks it off. `whole`: no message is half sent. */
export function endCall(req: Req, res: Res, speech: Speech, error: ConnectError, whole: boolean): void {
  const text = speech.contentType.startsWith('application/grpc-web-text');
  if (speech.protocol === 'grpc') {
    res.addTrailers(grpcStatus(error));
    res.end();
  } else if (whole && !text && (speech.protocol === 'connect-stream' || speech.protocol === 'grpc-web')) {
    res.end(lastFrame(speech, error));
  } else {
    abort(req, res);
    return;
  }
  endRequest(req, res);
}

export function toAnswer({ protocol, contentType }: Speech, error: ConnectError): { status: number; headers: HeaderBag; body?: Uint8Array } {
  switch (protocol) {
    case 'connect':
    case 'connect-get':
      return { status: codeToHttpStatus(error.code), headers: { 'content-type': 'application/json' }, body: errorToJsonBytes(error, undefined) };
    case 'connect-stream':
    case 'grpc-web':
      return { status: 200, headers: { 'content-type': contentType }, body: lastFrame({ protocol, contentType }, error) };
    case 'grpc':
      return { status: 200, headers: { 'content-type': contentType, ...grpcStatus(error) } };
    default:
      return protocol satisfies never;
  }
}

/** What ends a stream of messages with `error`, for protocols that say it in the body. */
function lastFrame({ protocol, contentType }: Speech, error: ConnectError): Uint8Array {
  if (protocol === 'connect-stream') return encodeEnvelope(endStreamFlag, Buffer.from(JSON.stringify(endStreamToJson(new Headers(), error, undefined))));
  const frame = grpcWebTrailers(setTrailerStatus(new Headers(), error));
  return contentType.startsWith('application/grpc-web-text') ? Buffer.from(Buffer.from(frame).toString('base64')) : frame;
}

function grpcStatus(error: ConnectError): Record<string, string> {
  return Object.fromEntries(setTrailerStatus(new Headers(), error));
}
