// The few things in which HTTP/1.1 and HTTP/2 differ here.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { respond } from '@millrace/chassis/server/node-response';

export type Req = IncomingMessage | Http2ServerRequest;
export type Res = ServerResponse | Http2ServerResponse;
/** Names in lower case. */
export type HeaderBag = Record<string, string | string[] | undefined>;

/** Whether the caller has gone. */
export function isGone(req: Req): boolean {
  return 'stream' in req ? req.stream.destroyed : req.socket.destroyed;
}

/** Whether a request that has ended was broken off: in HTTP/2 that looks like an end, and half a message may decode as another one. */
export function isBroken(req: Req): boolean {
  return 'stream' in req ? req.stream.aborted || req.stream.rstCode !== constants.NGHTTP2_NO_ERROR : !req.complete;
}

/** All of an answer at once; without a body it is one block, as gRPC wants it of an error. */
export function send(req: Req, res: Res, status: number, headers: HeaderBag, body?: Uint8Array | string, trailers: HeaderBag = {}): void {
  if (isGone(req) || res.headersSent) return;
  const bodiless = !body?.length;
  const head = bodiless ? { ...headers, ...trailers } : headers;
  if ('stream' in res && (bodiless || Object.keys(trailers).length === 0)) {
    respond(res.stream, { ...res.getHeaders(), ...head, ':status': status }, req.method === 'HEAD' ? undefined : body);
  } else {
    res.statusCode = status;
    setHeaders(res, head);
    if (!bodiless) (res as ServerResponse).addTrailers(trailers);
    (res as ServerResponse).end(body);
  }
  endRequest(req, res);
}

export function setHeaders(res: Res, headers: HeaderBag): void {
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined) res.setHeader(name, value);
  }
}

/** What a caller gets to end a body that nobody reads; most have sent it all before they hear the answer. */
const REST_OF_BODY_MS = 1_000;

/** Ends a request whose answer is complete before its body is. Not at once: a reset that overtakes the answer would be all that the caller sees. */
export function endRequest(req: Req, res: Res): void {
  if (req.complete) return;
  req.resume();
  if (!('stream' in req)) return;
  const { stream } = req;
  res.once('finish', () => {
    const late = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), REST_OF_BODY_MS);
    stream.once('close', () => clearTimeout(late));
  });
}

/** Breaks off an answer that can't be finished, so that the caller sees it isn't whole. */
export function abort(req: Req, res: Res): void {
  if ('stream' in req) req.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else (res as ServerResponse).destroy();
}
