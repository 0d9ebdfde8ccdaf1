// Carries one call to a service and its answer back, byte by byte, at the pace of whoever is slower.
import type { ServerResponse } from 'node:http';
import { constants, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { letGo } from '@millrace/chassis/clients/let-go';
import { recordOf } from '@millrace/chassis/server/channel';
import type { BundledAnswer } from '@millrace/gen/millrace/ops/v1/bundle_pb.js';
import { type Frames, createFrames } from './frames.ts';
import { outwardHeaders } from './headers.ts';
import { type Req, type Res, endRequest, isBroken, isGone, send, setHeaders } from './http.ts';

export type Exchange = {
  req: Req;
  res: Res;
  upstream: ClientHttp2Stream;
  /** What to send (nothing when it is empty: the stream was opened that way); undefined sends the request's body as it comes. */
  body: Buffer | undefined;
  /** The signal that the upstream stream was opened with: breaks off a request whose body is still coming. */
  cancel?: AbortController;
  deadlineMs: number;
  /** Ends the exchange early: the edge is stopping. */
  stopping?: AbortSignal;
};

/** How the exchange ended. `begun`: the caller has seen a part of the answer, `whole`: and no half message. */
export type Ending =
  | { kind: 'answered'; status: number; trailers: IncomingHttpHeaders | undefined }
  | { kind: 'caller went away' }
  | Broken;
export type Broken = { begun: boolean; whole: boolean } & ({ kind: 'late' } | { kind: 'stopping' } | { kind: 'broke'; code: number });

type Progress = { begun: boolean; frames: Frames };

/** Resolves once, when the exchange is over or can't go on. */
export function forward({ req, res, upstream, body, cancel, deadlineMs, stopping }: Exchange): Promise<Ending> {
  const { promise, resolve } = Promise.withResolvers<Ending>();
  const progress: Progress = { begun: false, frames: createFrames() };
  const soFar = () => ({ begun: progress.begun, whole: progress.frames.between() });
  let over = false;
  const end = (how: Ending) => {
    if (over) return;
    over = true;
    clearTimeout(deadline);
    stopping?.removeEventListener('abort', onStop);
    res.off('close', onGone);
    if (how.kind !== 'answered' && !upstream.closed) breakOff(upstream, cancel);
    resolve(how);
  };
  const onGone = () => end({ kind: 'caller went away' });
  const onStop = () => end({ kind: 'stopping', ...soFar() });
  const deadline = setTimeout(() => end({ kind: 'late', ...soFar() }), deadlineMs);
  res.once('close', onGone);
  stopping?.addEventListener('abort', onStop);

  if (isGone(req)) onGone();
  if (!body) pumpIn(req, upstream);
  else if (body.length > 0) upstream.end(body);
  pumpOut(req, res, upstream, progress, end);
  upstream.on('error', () => {}); // what it was is in the code
  upstream.once('close', () => {
    end({ kind: 'broke', ...soFar(), code: upstream.rstCode });
    letGo(upstream);
  });
  return promise;
}

/** The same for an answer that is all here. */
export function passOn(req: Req, res: Res, answer: BundledAnswer): Ending {
  const { status, body } = answer;
  const [headers, trailers] = [recordOf(answer.headers), recordOf(answer.trailers)];
  send(req, res, status, outwardHeaders(headers), body, outwardHeaders(trailers));
  return { kind: 'answered', status, trailers };
}

// Node's own `close` ends the body in good order before it resets the stream: the service would take half a stream for a whole one.
function breakOff(upstream: ClientHttp2Stream, cancel: AbortController | undefined): void {
  if (cancel && !upstream.writableEnded) cancel.abort();
  else upstream.close(constants.NGHTTP2_CANCEL);
}

function pumpIn(req: Req, upstream: ClientHttp2Stream): void {
  req.on('data', (chunk: Buffer) => {
    if (upstream.writable && !upstream.write(chunk)) req.pause();
  });
  upstream.on('drain', () => req.resume());
  // In the next turn, because callers on Node end the body just before they reset the stream.
  req.once('end', () => setImmediate(() => {
    if (!isBroken(req) && upstream.writable) upstream.end();
  }));
  // A broken request is seen by the end of its response; without a listener it would end the process.
  req.on('error', () => {});
}

function pumpOut(req: Req, res: Res, upstream: ClientHttp2Stream, progress: Progress, end: (how: Ending) => void): void {
  let status = 0;
  let trailers: IncomingHttpHeaders | undefined;
  upstream.once('response', (headers, flags) => {
    status = headers[':status'] ?? 502;
    res.statusCode = status;
    setHeaders(res, outwardHeaders(headers));
    // An answer of headers only (gRPC's "trailers-only") has to leave as one, so `end` sends them.
    if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) return;
    progress.begun = true;
    (res as ServerResponse).writeHead(status);
  });
  upstream.on('data', (chunk: Buffer) => {
    progress.frames.push(chunk);
    if (!(res as ServerResponse).write(chunk)) upstream.pause();
  });
  res.on('drain', () => upstream.resume());
  upstream.once('trailers', (received) => { trailers = received; });
  upstream.once('end', () => {
    // A reset ends the stream too.
    if (status === 0 || upstream.rstCode !== constants.NGHTTP2_NO_ERROR) return;
    if (trailers) res.addTrailers(outwardHeaders(trailers));
    end({ kind: 'answered', status, trailers });
    res.end();
    endRequest(req, res);
  });
}
