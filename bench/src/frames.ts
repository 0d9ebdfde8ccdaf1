// As much of HTTP/2 (RFC 9113) as a load client needs: the bytes of one unary call, and the frames that come back. Pure.

export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
export const SETTING = { enablePush: 2, maxConcurrentStreams: 3, initialWindowSize: 4 } as const;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;
export const ACK = 0x1;
const PADDED = 0x8;
const PRIORITY = 0x20;
const HEAD_BYTES = 9;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export type Frame = { type: number; flags: number; stream: number; payload: Buffer };

export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + payload.length);
  writeHead(bytes, 0, payload.length, type, flags, stream);
  bytes.set(payload, HEAD_BYTES);
  return bytes;
}

/** One call in one piece: its header block, made once by `headerBlock`, and its message. Both are smaller than a frame may be (16 KiB). */
export function callFrames(stream: number, headers: Buffer, message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(2 * HEAD_BYTES + headers.length + message.length);
  writeHead(bytes, 0, headers.length, FRAME.headers, END_HEADERS, stream);
  bytes.set(headers, HEAD_BYTES);
  writeHead(bytes, HEAD_BYTES + headers.length, message.length, FRAME.data, END_STREAM, stream);
  bytes.set(message, 2 * HEAD_BYTES + headers.length);
  return bytes;
}

/** HPACK (RFC 7541) without a table: every header is a literal, so that one block serves all calls. */
export function headerBlock(authority: string, path: string, headers: Record<string, string>): Buffer {
  const literal = (name: string, value: string) => [Buffer.of(0), text(name), text(value)];
  // 3 and 6 are ":method: POST" and ":scheme: http" in the static table.
  return Buffer.concat([Buffer.of(0x83, 0x86), ...literal(':path', path), ...literal(':authority', authority), ...Object.entries(headers).flatMap(([name, value]) => literal(name, value))]);
}

/** Whether a header block begins with ":status: 200", which every encoder writes as its place in the static table. */
export function saysOk({ flags, payload }: Frame): boolean {
  return payload[(flags & PADDED ? 1 : 0) + (flags & PRIORITY ? 5 : 0)] === 0x88;
}

export const endsStream = ({ type, flags }: Frame): boolean => (type === FRAME.data || type === FRAME.headers) && (flags & END_STREAM) !== 0;

/** A data frame's own bytes. */
export function dataOf({ flags, payload }: Frame): Buffer {
  return flags & PADDED ? payload.subarray(1, payload.length - (payload[0] ?? 0)) : payload;
}

export function settings(values: Record<number, number>): Buffer {
  const entries = Object.entries(values);
  const bytes = Buffer.alloc(entries.length * 6);
  entries.forEach(([id, value], i) => bytes.writeUInt32BE(value, bytes.writeUInt16BE(Number(id), i * 6)));
  return bytes;
}

export function* readSettings(payload: Buffer): Generator<[id: number, value: number]> {
  for (let at = 0; at + 6 <= payload.length; at += 6) yield [payload.readUInt16BE(at), payload.readUInt32BE(at + 2)];
}

/** Cuts what a socket brings into frames; half of one waits for the rest. */
export function createFrameReader(each: (frame: Frame) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      each({ type: bytes[at + 3] ?? 0, flags: bytes[at + 4] ?? 0, stream: bytes.readUInt32BE(at + 5) & 0x7fff_ffff, payload: bytes.subarray(at + HEAD_BYTES, end) });
      at = end;
    }
    rest = bytes.subarray(at);
  };
}

function writeHead(bytes: Buffer, at: number, length: number, type: number, flags: number, stream: number): void {
  bytes.writeUIntBE(length, at, 3);
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  bytes.writeUInt32BE(stream, at + 5);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  // A length of 127 and more goes on in groups of seven bits, the lowest first.
  const length = [Math.min(bytes.length, 127)];
  for (let left = bytes.length - 127; left >= 0; left >>= 7) {
    length.push(left > 127 ? (left & 127) | 128 : left);
    if (left <= 127) break;
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}
