import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { EXPERIMENTS } from '../experiments.ts';
import { SABOTAGES, patched } from './sabotages.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');

test.each(SABOTAGES)('$name finds every place that it breaks exactly once', ({ name, patches }) => {
  const texts = new Map<string, string>();
  for (const patch of patches) {
    const before = texts.get(patch.file) ?? readFileSync(path.join(ROOT, patch.file), 'utf8');
    texts.set(patch.file, patched(before, patch, name));
    expect(texts.get(patch.file)).not.toBe(before);
  }
});

test.each(SABOTAGES)('$name names experiments that there are', ({ experiments }) => {
  expect(experiments.length).toBeGreaterThan(0);
  for (const id of experiments) expect(EXPERIMENTS.map((one) => one.id)).toContain(id);
});

test('a place that has moved is an error', () => {
  expect(() => patched('a b a', { file: 'f.ts', from: 'a', to: 'c' }, 'test')).toThrow('sabotage test: f.ts no longer has exactly one "a"');
});
