// Node's answers over HTTP/2.
import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';

/** All of an answer at once, in as few frames as it can be; without a body, trailers stand among the headers. */
export function respond(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders, body?: Uint8Array | string, trailers?: OutgoingHttpHeaders): void {
  const trailing = trailers !== undefined && Object.keys(trailers).length > 0;
  if (!body?.length) {
    stream.respond(trailing ? { ...headers, ...trailers } : headers, { endStream: true });
    return;
  }
  // Not with `response`: it says the end of the answer in a frame of its own, which both sides write and read for themselves.
  if (trailing) {
    stream.respond(headers, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers(trailers));
  } else {
    stream.respond({ 'content-length': Buffer.byteLength(body), ...headers });
  }
  stream.end(body);
}
