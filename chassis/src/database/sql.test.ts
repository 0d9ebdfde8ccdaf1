import { expect, test } from 'vitest';
import { rowset, sql, statementNames } from './sql.ts';

test('every value is a parameter', () => {
  const { text, values } = sql`SELECT * FROM t WHERE a = ${"x'; DROP TABLE t"} AND b = ANY(${[1, 2]})`;
  expect({ text, values }).toEqual({ text: 'SELECT * FROM t WHERE a = $1 AND b = ANY($2)', values: ["x'; DROP TABLE t", [1, 2]] });
});

test('a statement in a hole becomes a part, with its parameters counted on', () => {
  const part = (id: number) => sql`SELECT ${id}, ${'y'}`;
  const { text, values } = sql`WITH a AS (${part(7)}), b AS (${sql`SELECT ${part(8)}`}) SELECT ${'z'}`;
  expect({ text, values }).toEqual({ text: 'WITH a AS (SELECT $1, $2), b AS (SELECT SELECT $3, $4) SELECT $5', values: [7, 'y', 8, 'y', 'z'] });
});

test('the same text has the same name, another part another one', () => {
  const whole = (part: ReturnType<typeof sql>) => sql`SELECT (${part})`;
  expect(whole(sql`SELECT 1`).name).toBe(whole(sql`SELECT 1`).name);
  expect(whole(sql`SELECT 1`).name).not.toBe(whole(sql`SELECT 2`).name);
});

test('a rowset is a parameter for each column, in the order of its items', () => {
  type Item = { id: string; amount?: bigint; at?: Date; more?: unknown };
  const items = rowset<Item>('i', {
    id: ['text', ({ id }) => id],
    place: ['int', (_, place) => place],
    amount: ['bigint', ({ amount }) => amount],
    at: ['timestamptz', ({ at }) => at],
    more: ['jsonb', ({ more }) => more],
  });
  const { text, values } = sql`SELECT ${'x'} FROM ${items([{ id: 'a,"b"', amount: 2n ** 60n, more: { a: ['"'] } }, { id: '', at: new Date(0), more: null }])}`;
  expect(text).toBe('SELECT $1 FROM unnest($2::text[], $3::int[], $4::bigint[], $5::timestamptz[], $6::jsonb[]) AS i (id, place, amount, at, more)');
  expect(values.map((value) => (value instanceof Buffer ? value.readUInt32BE(8) : value))).toEqual(['x', 25, 23, 20, 1184, 3802]);
});

test('only so many texts of others get names, and keep them', () => {
  const name = statementNames(2);
  const [first, second] = [name('SELECT 1'), name('SELECT 2')];
  expect([name('SELECT 3'), name('SELECT 1'), name('SELECT 2')]).toEqual([undefined, first, second]);
  expect(first).not.toBe(second);
});
