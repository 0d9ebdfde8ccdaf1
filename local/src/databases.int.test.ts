import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestPostgres, startTestPostgres } from '../../test/support/servers.ts';
import { prepareDatabase } from './databases.ts';

let postgres: TestPostgres;
beforeAll(async () => void (postgres = await startTestPostgres()));
afterAll(async () => postgres.stop());

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

describe('the role of a service', () => {
  let url: string;
  let applied: string[];
  beforeAll(async () => {
    url = postgres.url('inventory', 'inventory', 'pw');
    applied = await prepareDatabase(postgres.adminUrl, 'inventory', url);
  });

  test('works with its rows', async () => {
    await query(url, "INSERT INTO stock (sku) VALUES ('A'); INSERT INTO movement (sku, kind, on_hand_delta, reserved_delta, order_id, reason, actor) VALUES ('A', 'OPENED', 0, 0, '', '', '')");
    await query(url, "UPDATE stock SET name = 'a' WHERE sku = 'A'; DELETE FROM stock WHERE sku = 'A'");
    expect(await query(url, 'SELECT sku FROM movement')).toEqual([{ sku: 'A' }]);
    expect(await query(url, 'SELECT migration_name AS name FROM _prisma_migrations ORDER BY 1')).toEqual(applied.map((name) => ({ name })));
  });

  test.each(['UPDATE movement SET reason = $$x$$', 'DELETE FROM movement'])('can\'t change the ledger: %s', async (statement) => {
    await expect(query(url, statement)).rejects.toThrow('append only');
  });

  test.each([
    'DROP TRIGGER movement_append_only ON movement', 'ALTER TABLE movement DISABLE TRIGGER ALL', 'SET session_replication_role = replica', 'TRUNCATE movement', 'DROP TABLE stock', 'ALTER TABLE stock ADD COLUMN x int',
    'CREATE TABLE x ()', 'CREATE TEMPORARY TABLE x ()', 'CREATE SCHEMA x', 'CREATE FUNCTION x() RETURNS int LANGUAGE sql RETURN 1', 'DELETE FROM _prisma_migrations', 'SET ROLE inventory_owner', 'CREATE ROLE x',
  ])('can\'t change anything else than rows: %s', async (statement) => {
    await expect(query(url, statement)).rejects.toThrow(/permission denied|must be owner/);
  });

  test('is prepared again without a change', async () => {
    expect(await prepareDatabase(postgres.adminUrl, 'inventory', url)).toEqual([]);
  });
});

test('tables that a service had from before are taken from it', async () => {
  const url = await postgres.createDatabase('order');
  expect(await query(url, 'SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = $$public$$')).toEqual([{ tableowner: 'order' }]);
  expect(await prepareDatabase(postgres.adminUrl, 'order', url)).toEqual([]);
  await expect(query(url, 'DROP TABLE orders')).rejects.toThrow('must be owner');
  expect(await query(url, 'SELECT count(*)::int AS n FROM orders')).toEqual([{ n: 0 }]);
});
