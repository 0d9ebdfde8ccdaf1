import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CsvError, readCsv } from './csv.ts';

async function rows(...chunks: string[]) {
  const all = [];
  for await (const row of readCsv(chunks)) all.push(row);
  return all;
}

test('quoted fields may hold commas, quotes and line breaks', async () => {
  expect(await rows('sku,name\r\nmug,"A ""big"", blue mug\nfor two"\r\ncup,Cup\r\n')).toEqual([
    { line: 2, values: { sku: 'mug', name: 'A "big", blue mug\nfor two' } },
    { line: 4, values: { sku: 'cup', name: 'Cup' } },
  ]);
});

test('a byte order mark, empty lines and a missing last line break do no harm', async () => {
  expect(await rows('\uFEFFsku, name\n\nmug,\n\n\ncup,"Cup"')).toEqual([
    { line: 3, values: { sku: 'mug', name: '' } },
    { line: 6, values: { sku: 'cup', name: 'Cup' } },
  ]);
});

test.each([
  ['a,b\n1\n', 'line 2 has 1 fields, the first line has 2'],
  ['a,b\n1,2,3\n', 'line 2 has 3 fields'],
  ['a,a\n1,2\n', 'twice'],
  ['a\n"x\n', 'line 2 does not end'],
  ['a\n"x"y\n', 'goes on after its closing quote'],
  ['a\nx"y\n', 'a quote inside a field'],
  [`a\n"${'x'.repeat(200_000)}`, 'does not end'],
])('%.20j is refused with its line', async (text, message) => {
  await expect(rows(text)).rejects.toThrow(CsvError);
  await expect(rows(text)).rejects.toThrow(message);
});

test('whatever is written is read back, however it is cut into pieces', async () => {
  const field = fc.string({ unit: fc.constantFrom('a', 'ß', '😀', ',', '"', '\n', '\r\n', ' ', ';'), maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(field, field, field), { maxLength: 8 }), fc.integer({ min: 1, max: 7 }), async (records, size) => {
      const text = [['a', 'b', 'c'], ...records].map((record) => record.map((value) => `"${value.replaceAll('"', '""')}"`).join(',')).join('\r\n');
      const characters = Array.from(text);
      const chunks = Array.from({ length: Math.ceil(characters.length / size) }, (_, i) => characters.slice(i * size, (i + 1) * size).join(''));
      expect((await rows(...chunks)).map(({ values }) => [values['a'], values['b'], values['c']])).toEqual(records);
    }),
  );
});
