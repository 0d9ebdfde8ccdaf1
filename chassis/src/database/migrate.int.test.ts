import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { createEmptyDatabase, newFolder } from '../../../test/support/servers.ts';
import { migrate } from './migrate.ts';

function migrations(scripts: Record<string, string>): string {
  const folder = newFolder('migrations');
  for (const [name, sql] of Object.entries(scripts)) {
    mkdirSync(path.join(folder, name));
    writeFileSync(path.join(folder, name, 'migration.sql'), sql);
  }
  return folder;
}

async function rows(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

test('applies what is new, once, also when two start at the same time', async () => {
  await using database = await createEmptyDatabase();
  const databaseUrl = database.url;
  const migrationsDir = migrations({ '1_first': 'CREATE TABLE a (id int);', '2_second': 'CREATE TABLE b (id int); INSERT INTO b VALUES (1);' });
  const both = await Promise.all([migrate({ databaseUrl, migrationsDir }), migrate({ databaseUrl, migrationsDir })]);
  expect(both.toSorted((x, y) => x.length - y.length)).toEqual([[], ['1_first', '2_second']]);
  expect(await rows(databaseUrl, 'SELECT id FROM b')).toEqual([{ id: 1 }]);
});

test('a semicolon inside a function does not end the statement', async () => {
  await using database = await createEmptyDatabase();
  const migrationsDir = migrations({ '1_function': 'CREATE FUNCTION two() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; RETURN 2; END; $$;' });
  await migrate({ databaseUrl: database.url, migrationsDir });
  expect(await rows(database.url, 'SELECT two()')).toEqual([{ two: 2 }]);
});

test('a migration that fails leaves nothing behind and is applied once it is right', async () => {
  await using database = await createEmptyDatabase();
  const wrong = migrations({ '1_first': 'CREATE TABLE a (id int); SELECT 1 / 0;' });
  await expect(migrate({ databaseUrl: database.url, migrationsDir: wrong })).rejects.toThrow(/division by zero/);
  expect(await rows(database.url, `SELECT to_regclass('a') AS a`)).toEqual([{ a: null }]);

  const right = migrations({ '1_first': 'CREATE TABLE a (id int);' });
  expect(await migrate({ databaseUrl: database.url, migrationsDir: right })).toEqual(['1_first']);
});

test('a migration whose connection was lost in the middle is applied by the next start', async () => {
  await using database = await createEmptyDatabase();
  const suicidal = `CREATE TABLE a (id int); SELECT CASE WHEN application_name = 'again' THEN NULL ELSE pg_terminate_backend(pid) END FROM pg_stat_activity WHERE pid = pg_backend_pid();`;
  const migrationsDir = migrations({ '1_first': suicidal });
  await expect(migrate({ databaseUrl: database.url, migrationsDir })).rejects.toThrow(/terminat/);
  expect(await rows(database.url, `SELECT to_regclass('a') AS a`)).toEqual([{ a: null }]);
  expect(await migrate({ databaseUrl: `${database.url}?application_name=again`, migrationsDir })).toEqual(['1_first']);
});
