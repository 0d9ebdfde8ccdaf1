import type { Http2Stream } from 'node:http2';

/**
 * Takes its listeners from a stream that has closed. Node makes a function in V8's old generation for every writable stream, which keeps the stream
 * until a major collection: its listeners would keep the whole call with it.
 */
export function letGo(closed: Http2Stream): void {
  closed.removeAllListeners();
}
