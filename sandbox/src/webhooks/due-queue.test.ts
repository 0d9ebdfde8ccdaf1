import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pauseAfter } from './deliver.ts';
import { createDueQueue, type Entry } from './due-queue.ts';
import { parseMode, planDelivery } from './mode.ts';

test('entries come out by due time, then by order', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ due: fc.nat(20), order: fc.integer() })), (entries) => {
      const queue = createDueQueue<Entry>();
      for (const entry of entries) queue.push(entry);
      expect(Array.from(entries, () => queue.pop())).toEqual([...entries].sort((a, b) => a.due - b.due || a.order - b.order));
      expect(queue.pop()).toBeUndefined();
    }),
  );
});

test('pauses between attempts grow and stay bounded', () => {
  expect([0, 1, 2, 3, 10, 1000].map(pauseAfter)).toEqual([250, 500, 1000, 2000, 15_000, 15_000]);
});

test('reorder mirrors the events of a window: the first happens to be sent last', () => {
  const mode = parseMode({ mode: 'reorder', delay_ms: 100 });
  const sent = [1000, 1020, 1099].map((now) => now + planDelivery(mode, now).wait);
  expect(sent).toEqual([1200, 1180, 1101]);
});

test('a mode with a probability leaves the others as they are', () => {
  const mode = parseMode({ mode: 'drop', probability: 0.5 });
  expect([0.4, 0.6].map((chance) => planDelivery(mode, 0, () => chance).drop)).toEqual([true, false]);
});
