// A database that takes its time to be reached: the way to it is a proxy that lets nothing through until it is told to.
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { startProxy } from '../../../test/chaos/system/proxy.ts';
import { createEmptyDatabase } from '../../../test/support/servers.ts';
import { databaseAway } from '../api/database-away.ts';
import { Pool } from './pool.ts';

const WAIT_MS = 50;

test('a connection that takes longer than its caller waits is there for the next', async () => {
  await using database = await createEmptyDatabase();
  const url = new URL(database.url);
  const proxy = await startProxy('postgres', Number(url.port));
  url.port = String(proxy.port);
  const pool = new Pool({ connectionString: url.href, max: 1, waitMs: WAIT_MS });

  proxy.set({ kind: 'blackhole', direction: 'from' });
  const refusals = await Promise.allSettled([pool.query('SELECT 1'), pool.query('SELECT 1'), pool.connect()]);
  expect(refusals.map((refusal) => refusal.status === 'rejected' && databaseAway(refusal.reason))).toEqual([true, true, true]);
  const made = once(pool, 'connect');
  proxy.set({ kind: 'none' });
  await made;
  expect((await pool.query<{ one: number }>('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);

  await pool.end();
  await proxy.close();
});

test('who has left does not get the connection that somebody else waits for', async () => {
  await using database = await createEmptyDatabase();
  const pool = new Pool({ connectionString: database.url, max: 1, waitMs: WAIT_MS });
  // To make it may take longer than anybody waits here.
  const made = once(pool, 'connect');
  await pool.connect().then((client) => client.release(), () => {});
  await made;
  const first = await pool.connect();
  await expect(pool.connect()).rejects.toThrow('timeout exceeded');
  const third = pool.query<{ one: number }>('SELECT 1 AS one');
  first.release();
  expect((await third).rows).toEqual([{ one: 1 }]);
  expect({ idle: pool.idleCount, waiting: pool.waitingCount }).toEqual({ idle: 1, waiting: 0 });
  await pool.end();
});

test("a server that goes away with the words that make a connection ready fails its borrower's query, and nothing else", async () => {
  const message = (type: string, body: Buffer) => Buffer.concat([Buffer.from(type), Buffer.from(Uint32Array.of(body.length + 4).buffer).swap32(), body]);
  const [authenticated, ready] = [message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))];
  const lastWords = message('E', Buffer.from('SFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0'));
  const server = net.createServer((socket) => void socket.once('data', () => socket.end(Buffer.concat([authenticated, ready, lastWords]))));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const pool = new Pool({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, user: 'x', database: 'x', max: 1 });
  pool.on('error', () => {});

  const client = await pool.connect();
  await expect(client.query('SELECT 1')).rejects.toThrow(/not queryable|terminat/);
  client.release(true);
  await expect(pool.query('SELECT 1')).rejects.toThrow(/not queryable|terminat/);
  expect(pool.totalCount).toBe(0);

  await pool.end();
  server.close();
});

test('a query that gets no answer in time fails, with all that was asked behind it on its connection', async () => {
  await using database = await createEmptyDatabase();
  const pool = new Pool({ connectionString: database.url, max: 1, pipeline: true, query_timeout: 1_000 });
  const client = await pool.connect();
  const lost = new Promise<Error>((resolve) => client.once('error', resolve));
  const asked = await Promise.allSettled([client.query('SELECT 1 AS one'), client.query('SELECT pg_sleep(30)'), client.query('SELECT 2 AS two')]);
  expect(asked.map((answer) => (answer.status === 'fulfilled' ? answer.value.rows : databaseAway(answer.reason)))).toEqual([[{ one: 1 }], true, true]);
  client.release(await lost);
  await expect(pool.query('SELECT 1 + $1::int AS sum', ['x'])).rejects.toMatchObject({ code: '22P02' });
  expect((await pool.query('SELECT 1 + $1::int AS sum', [2])).rows).toEqual([{ sum: 3 }]);
  await pool.end();
});

test('a statement that the server refuses does not cost the connection; the last word of a session does', async () => {
  await using database = await createEmptyDatabase();
  const pool = new Pool({ connectionString: database.url, max: 1 });
  pool.on('error', () => {});
  const session = async () => (await pool.ask<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid' })).rows[0]?.pid;
  const first = await session();
  await expect(pool.ask({ text: 'SELECT 1 / 0' })).rejects.toMatchObject({ code: '22012' });
  expect(await session()).toBe(first);
  await expect(pool.ask({ text: 'SELECT pg_terminate_backend(pg_backend_pid())' })).rejects.toMatchObject({ code: '57P01' });
  expect(await session()).not.toBe(first);
  await pool.end();
});
