import { Client } from 'pg';
import { expect, test } from 'vitest';
import { newFolder, startTestPostgres, trackProcess } from '../../test/support/servers.ts';
import { ensureDatabase, startPostgres } from './postgres.ts';

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

test('what was committed is there after kill -9 of the server', async () => {
  const home = newFolder('home');
  const first = await startPostgres({ home, port: 0, adminPassword: 'secret' });
  trackProcess('postgres', first.process.pid);
  await ensureDatabase(first.adminUrl, 'order', 'order', 'pw');
  await query(first.url('order', 'order', 'pw'), 'CREATE TABLE kept AS SELECT 42 AS answer');
  await first.kill();

  const second = await startPostgres({ home, port: 0, adminPassword: 'secret' });
  trackProcess('postgres', second.process.pid);
  expect(await query(second.url('order', 'order', 'pw'), 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  await second.stop();
});

test('a server that outlived its launcher is stopped before the next one opens the data', async () => {
  const home = newFolder('home');
  const orphan = await startPostgres({ home, port: 0, adminPassword: 'secret', durable: false });
  trackProcess('orphan', orphan.process.pid);
  const next = await startPostgres({ home, port: 0, adminPassword: 'secret', durable: false });
  trackProcess('postgres', next.process.pid);
  await orphan.exited;
  expect(await query(next.adminUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await next.stop();
});

test('a role enters its own database and no other', async () => {
  await using postgres = await startTestPostgres();
  for (const name of ['order', 'payment']) await ensureDatabase(postgres.adminUrl, name, name, `pw-${name}`);
  const whoAmI = 'SELECT current_user, current_database()';
  expect(await query(postgres.url('order', 'order', 'pw-order'), whoAmI)).toEqual([{ current_user: 'order', current_database: 'order' }]);
  for (const foreign of ['payment', 'postgres', 'template1']) {
    await expect(query(postgres.url(foreign, 'order', 'pw-order'), whoAmI)).rejects.toThrow(/permission denied for database/);
  }
  await expect(query(postgres.url('order', 'order', 'guess'), whoAmI)).rejects.toThrow(/password authentication failed/);
});

test('a data folder whose password is lost says so', async () => {
  const home = newFolder('home');
  const first = await startPostgres({ home, port: 0, adminPassword: 'secret', durable: false });
  trackProcess('postgres', first.process.pid);
  await first.stop();
  await expect(startPostgres({ home, port: 0, adminPassword: 'another', durable: false })).rejects.toThrow(/do not belong together/);
});
