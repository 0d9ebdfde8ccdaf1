import { expect, test } from 'vitest';
import { FRAME, type Frame, createFrameReader, dataOf, frame, headerBlock, readSettings, saysOk, settings } from './frames.ts';

test.each([1, 2, 7, 1_000])('frames are found again when they arrive in pieces of %d bytes', (size) => {
  const sent = Buffer.concat([frame(FRAME.ping, 0, 0, Buffer.alloc(8, 1)), frame(FRAME.data, 1, 5, Buffer.from('answer')), frame(FRAME.data, 0, 7, Buffer.alloc(0))]);
  const found: Frame[] = [];
  const read = createFrameReader((one) => void found.push(one));
  for (let at = 0; at < sent.length; at += size) read(sent.subarray(at, at + size));
  expect(found.map(({ type, flags, stream, payload }) => [type, flags, stream, payload.toString('latin1')])).toEqual([[6, 0, 0, '\u0001'.repeat(8)], [0, 1, 5, 'answer'], [0, 0, 7, '']]);
});

test.each([1, 126, 127, 128, 254, 255, 700])('a header of %d bytes has its length before it', (length) => {
  const block = headerBlock('h', '/', { authorization: 'x'.repeat(length) });
  const name = block.indexOf('authorization') + 'authorization'.length;
  let [at, said] = [name + 1, block[name] ?? 0];
  if (said === 127) {
    for (let shift = 0; ; shift += 7) {
      const byte = block[at++] ?? 0;
      said += (byte & 127) << shift;
      if (byte < 128) break;
    }
  }
  expect([said, block.length - at]).toEqual([length, length]);
});

test('padding and priorities are not taken for content', () => {
  expect(dataOf({ type: FRAME.data, flags: 0x8, stream: 1, payload: Buffer.from([2, 65, 66, 0, 0]) }).toString()).toBe('AB');
  expect(saysOk({ type: FRAME.headers, flags: 0x28, stream: 1, payload: Buffer.from([0, 0, 0, 0, 0, 0, 0x88]) })).toBe(true);
  expect(saysOk({ type: FRAME.headers, flags: 0, stream: 1, payload: Buffer.from([0x8c]) })).toBe(false);
});

test('settings are read as they were written', () => {
  expect([...readSettings(settings({ 3: 100, 4: 0x7fff_ffff }))]).toEqual([[3, 100], [4, 0x7fff_ffff]]);
});
