// Calls that travel together. Two processes keep one HTTP/2 stream open between them; on it the calls of one moment go out in one bundle,
// and answers come back in bundles as they are ready. A stream for each call costs both ends three times as much, and the call twice the time.
import { sizeDelimitedPeek } from '@bufbuild/protobuf/wire';

export const CHANNEL_PATH = '/millrace.ops.v1.Channel';
export const CHANNEL_TYPE = 'application/x-protobuf';
/** Calls under way on one channel: as many as the edge has for one service. More travel alone. */
export const MAX_UNDER_WAY = 8_192;
/** Calls of one bundle: what one turn of the event loop brings from a crowd. */
export const MAX_BUNDLED = 256;
/** A call's message; larger ones are rare, and travel alone, where they keep nobody waiting. */
export const MAX_BUNDLED_BYTES = 65_536;
/** When a bundle has as many bytes, what is left goes in the next one. */
const BUNDLE_BYTES = 262_144;
/** Of a bundle with all headers, which are limited to 16 KiB a call. Less than what a call alone may have sent before it is known whose it is. */
export const MAX_BUNDLE_BYTES = 1_048_576;
/** A channel on which nothing was asked for so long is closed by whoever asks, and a little later by whoever answers. */
export const IDLE_MS = 45_000;

/** What stands in an answer's status instead of an HTTP status of the call. */
export const SAID = {
  /** Nobody has looked at the call: this process is stopping, or doesn't serve it in bundles (RFC 9110, 15.5.20). */
  UNSEEN: 421,
  /** The caller had said that nobody waits for the answer any more. */
  GONE: 499,
};

/** What goes in one bundle each. */
export function* bundlesOf<T>(things: T[], bytesOf: (thing: T) => number): Generator<T[]> {
  for (let from = 0, to = 0; from < things.length; from = to) {
    for (let bytes = 0; to < things.length && to - from < MAX_BUNDLED && bytes < BUNDLE_BYTES; to += 1) bytes += bytesOf(things[to] as T);
    yield things.slice(from, to);
  }
}

/** Cuts bytes as they come into messages, each after its length. Throws when one is announced as larger than `maxBytes`. */
export class Cutter {
  readonly #maxBytes: number;
  readonly #take: (message: Uint8Array) => void;
  #chunks: Uint8Array[] = [];
  #held = 0;
  /** Bytes without which it is no use to look again. */
  #needed = 0;

  constructor(maxBytes: number, take: (message: Uint8Array) => void) {
    this.#maxBytes = maxBytes;
    this.#take = take;
  }

  /** Whether it waits for the rest of a message. */
  get isInside(): boolean {
    return this.#held > 0;
  }

  push(chunk: Uint8Array): void {
    this.#held += chunk.length;
    this.#chunks.push(chunk);
    if (this.#held < this.#needed) return;
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#held);
    this.#needed = 0;
    while (bytes.length > 0) {
      const { eof, size, offset } = sizeDelimitedPeek(bytes);
      if (eof) break;
      if (size > this.#maxBytes) throw new Error(`a message of ${size} bytes; ${this.#maxBytes} is the most`);
      this.#needed = offset + size;
      if (bytes.length < this.#needed) break;
      this.#take(bytes.subarray(offset, this.#needed));
      bytes = bytes.subarray(this.#needed);
      this.#needed = 0;
    }
    this.#chunks = bytes.length > 0 ? [bytes] : [];
    this.#held = bytes.length;
  }
}

/** Headers from names and values by turns. */
export function recordOf(pairs: string[]): Record<string, string | undefined> {
  const record = Object.create(null) as Record<string, string | undefined>;
  for (let i = 0; i < pairs.length; i += 2) record[pairs[i] ?? ''] = pairs[i + 1] ?? '';
  return record;
}
