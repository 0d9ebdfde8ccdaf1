import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { createEmptyDatabase } from '../../../test/support/servers.ts';
import { type Column, arraysOf } from './pg-array.ts';

let database: Awaited<ReturnType<typeof createEmptyDatabase>>;
let client: pg.Client;
beforeAll(async () => {
  database = await createEmptyDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await database[Symbol.asyncDispose]();
});

type Type = Column<unknown>[0];
const arrayOf = (type: Type, values: unknown[]): Buffer => arraysOf([[type, (value: unknown) => value] as Column<unknown>], values)[0] as Buffer;

/** As Postgres writes what it has read. */
async function readBack(type: Type, values: unknown[]): Promise<(string | null)[]> {
  const { rows } = await client.query<{ value: string | null }>(`SELECT value::text FROM unnest($1::${type}[]) WITH ORDINALITY AS u (value, place) ORDER BY place`, [arrayOf(type, values)]);
  return rows.map(({ value }) => value);
}

describe('Postgres reads what was written', () => {
  it('text, whatever is in it', async () => {
    const values = ['', 'a', '{"a":"\\"}', 'NULL', ' ,{}\n', 'Zoë ☕ 𝒳', 'x'.repeat(300_000), 'ä'.repeat(200_000)];
    expect(await readBack('text', values)).toEqual(values);
  });

  it.each<[Type, unknown[], string[]]>([
    ['uuid', ['018f4e1a-0000-7000-8000-0123456789ab', 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF'], ['018f4e1a-0000-7000-8000-0123456789ab', 'ffffffff-ffff-ffff-ffff-ffffffffffff']],
    ['int', [0, -1, 2_147_483_647, -2_147_483_648], ['0', '-1', '2147483647', '-2147483648']],
    ['bigint', [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)], ['0', '-1', '9223372036854775807', '-9223372036854775808']],
    ['float8', [0.1, -1e300], ['0.1', '-1e+300']],
    ['boolean', [true, false], ['true', 'false']],
    ['jsonb', [{ a: ['"', 1.5, null] }, 'text', 'é'.repeat(3), 7, []], ['{"a": ["\\"", 1.5, null]}', '"text"', '"ééé"', '7', '[]']],
  ])('%s', async (type, values, text) => {
    expect(await readBack(type, values)).toEqual(text);
  });

  it('times, to the millisecond', async () => {
    const values = ['2026-11-29T08:00:00.123Z', '2000-01-01T00:00:00.000Z', '1999-12-31T23:59:59.999Z', '1970-01-01T00:00:00.000Z', '0099-02-03T04:05:06.007Z', '9999-12-31T23:59:59.999Z'];
    await client.query("SET timezone = 'UTC'");
    const { rows } = await client.query<{ value: Date }>('SELECT unnest($1::timestamptz[]) AS value', [arrayOf('timestamptz', values.map((value) => new Date(value)))]);
    expect(rows.map(({ value }) => value.toISOString())).toEqual(values);
  });

  it('NULL for null and undefined, and nothing for nothing', async () => {
    expect(await readBack('text', [null, 'a', undefined])).toEqual([null, 'a', null]);
    expect(await readBack('jsonb', [null])).toEqual([null]);
    expect(await readBack('timestamptz', [])).toEqual([]);
  });
});

test('columns stand beside each other', async () => {
  const items = [{ id: 1, name: 'x'.repeat(200_000) }, { id: 2, name: null }];
  const arrays = arraysOf<(typeof items)[number]>([['int', ({ id }) => id], ['text', ({ name }) => name], ['int', (_, place) => place]], items);
  const { rows } = await client.query('SELECT * FROM unnest($1::int[], $2::text[], $3::int[]) AS u (id, name, place)', arrays);
  expect(rows).toEqual(items.map((item, place) => ({ ...item, place })));
});

test('one array is not written over by the next', async () => {
  const first = arrayOf('text', ['first']);
  arrayOf('text', ['other']);
  expect((await client.query<{ value: string[] }>('SELECT $1::text[] AS value', [first])).rows).toEqual([{ value: ['first'] }]);
});

test('what is no value of its type is refused here', () => {
  expect(() => arrayOf('uuid', ['018f4e1a'])).toThrow('018f4e1a is no UUID');
  expect(() => arrayOf('int', [1.5])).toThrow('1.5 is no integer');
  expect(() => arrayOf('int', [2 ** 31])).toThrow(RangeError);
  expect(() => arrayOf('bigint', [2n ** 63n])).toThrow(RangeError);
  expect(() => arrayOf('timestamptz', [new Date(NaN)])).toThrow('Invalid time value');
});
