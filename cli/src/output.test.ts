import { expect, test } from 'vitest';
import { createOutput } from './output.ts';

function printed(use: (out: ReturnType<typeof createOutput>) => void): string {
  let text = '';
  use(createOutput(false, (more) => { text += more; }, () => {}));
  return text;
}

test('columns are as wide as they must be, numbers stand to the right', () => {
  expect(printed((out) => out.table(['SKU', 'ON HAND', 'NAME'], [['mug', 5, 'A mug'], ['t-shirt', 1000, 'Ä']]))).toBe('SKU      ON HAND  NAME\nmug            5  A mug\nt-shirt     1000  Ä\n');
});

test('a cell stays on its line, and what others wrote does not steer the terminal', () => {
  expect(printed((out) => out.table(['NOTE'], [['a\nb\u001b[31mred\u202e']]))).toBe('NOTE\na b\uFFFD[31mred\uFFFD\n');
});

test('facts that are not known are left out', () => {
  expect(printed((out) => out.facts({ order: 'ord_1', carrier: '', version: 3, note: undefined }))).toBe('order:    ord_1\nversion:  3\n');
});
