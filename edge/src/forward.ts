// Carries one call to a service and its answer back, byte by byte, at the pace of whoever is slower.
import type { ServerResponse } from 'node:http';
import { constants, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { outwardHeaders } from './headers.ts';
import { type Req, type Res, endRequest, setHeaders } from './http.ts';

/** How the exchange ended. `begun`: the caller has seen a part of the answer. */
export type Ending =
  | { kind: 'answered'; status: number; trailers: IncomingHttpHeaders | undefined }
  | { kind: 'caller went away' }
  | { kind: 'too large' }
  | { kind: 'late'; begun: boolean }
  | { kind: 'broke'; begun: boolean; code: number; error: Error | undefined };

export type Limits = { deadlineMs: number; bodyMs?: number; maxBytes?: number };

/** Resolves once, when everything about the call is over or can't go on. */
export function forward(req: Req, res: Res, upstream: ClientHttp2Stream, limits: Limits): Promise<Ending> {
  const { promise, resolve } = Promise.withResolvers<Ending>();
  let ending: Ending | undefined;
  let begun = false;
  const end = (how: Ending) => {
    if (ending) return;
    ending = how;
    clearTimeout(deadline);
    clearTimeout(slowBody);
    if (how.kind !== 'answered' && !upstream.closed) upstream.close(constants.NGHTTP2_CANCEL);
    resolve(how);
  };
  const late = () => end({ kind: 'late', begun });
  const deadline = setTimeout(late, limits.deadlineMs);
  const slowBody = limits.bodyMs === undefined || req.complete ? undefined : setTimeout(late, limits.bodyMs);

  res.once('close', () => end({ kind: 'caller went away' }));
  if (limits.maxBytes !== undefined) countIn(req, limits.maxBytes, () => end({ kind: 'too large' }));
  pumpIn(req, upstream, () => clearTimeout(slowBody));
  pumpOut(req, res, upstream, () => { begun = true; }, end);
  let failure: Error | undefined;
  upstream.once('error', (error: Error) => { failure = error; });
  upstream.once('close', () => end({ kind: 'broke', begun, code: upstream.rstCode, error: failure }));
  return promise;
}

function pumpIn(req: Req, upstream: ClientHttp2Stream, whole: () => void): void {
  req.on('data', (chunk: Buffer) => {
    if (upstream.writable && !upstream.write(chunk)) req.pause();
  });
  upstream.on('drain', () => req.resume());
  req.once('end', () => {
    whole();
    upstream.end();
  });
  // A broken request is seen by the end of its response; without a listener it would end the process.
  req.on('error', () => {});
}

function countIn(req: Req, most: number, exceeded: () => void): void {
  let bytes = 0;
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > most) exceeded();
  });
}

function pumpOut(req: Req, res: Res, upstream: ClientHttp2Stream, begin: () => void, end: (how: Ending) => void): void {
  let status = 0;
  let trailers: IncomingHttpHeaders | undefined;
  upstream.once('response', (headers, flags) => {
    status = headers[':status'] ?? 502;
    res.statusCode = status;
    setHeaders(res, outwardHeaders(headers));
    begin();
    // An answer of headers only (gRPC's "trailers-only") has to leave as one, so `end` sends them.
    if ((flags & constants.NGHTTP2_FLAG_END_STREAM) === 0) (res as ServerResponse).writeHead(status);
  });
  upstream.on('data', (chunk: Buffer) => {
    if (!(res as ServerResponse).write(chunk)) upstream.pause();
  });
  res.on('drain', () => upstream.resume());
  upstream.once('trailers', (received) => { trailers = received; });
  upstream.once('end', () => {
    if (status === 0 || upstream.rstCode !== constants.NGHTTP2_NO_ERROR) return;
    if (trailers) res.addTrailers(outwardHeaders(trailers));
    end({ kind: 'answered', status, trailers });
    res.end();
    endRequest(req, res);
  });
}
