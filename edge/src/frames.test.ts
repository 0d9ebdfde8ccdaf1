import { encodeEnvelope } from '@connectrpc/connect/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFrames } from './frames.ts';

test('messages are told apart however they are cut into chunks', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 });
  fc.assert(
    fc.property(messages, fc.infiniteStream(fc.integer({ min: 1, max: 200 })), (sent, sizes) => {
      const frames = createFrames();
      const bytes = Buffer.concat(sent.map((message) => encodeEnvelope(0, message)));
      const ends = new Set(sent.map((_, i) => sent.slice(0, i + 1).reduce((sum, message) => sum + 5 + message.length, 0)));
      let at = 0;
      for (const size of sizes) {
        expect(frames.between()).toBe(at === 0 || ends.has(at));
        if (at >= bytes.length) break;
        frames.push(bytes.subarray(at, at + size));
        at = Math.min(bytes.length, at + size);
      }
    }),
  );
});
