// Where the messages of a stream begin and end, without looking into them: five bytes of flags and length, then the message.
// Source: the Connect and gRPC-Web protocol specifications, which share this envelope.

const PREFIX_BYTES = 5;

export type Frames = { push(chunk: Uint8Array): void; /** Whether no message is half sent. */ between(): boolean };

export function createFrames(): Frames {
  let seen = 0; // bytes of the prefix
  let length = 0;
  let left = 0; // bytes of the message
  return {
    push(chunk) {
      for (let at = 0; at < chunk.length; ) {
        if (left > 0) {
          const part = Math.min(left, chunk.length - at);
          left -= part;
          at += part;
          continue;
        }
        if (seen > 0) length = length * 256 + (chunk[at] ?? 0);
        seen += 1;
        at += 1;
        if (seen < PREFIX_BYTES) continue;
        left = length;
        seen = 0;
        length = 0;
      }
    },
    between: () => seen === 0 && left === 0,
  };
}
