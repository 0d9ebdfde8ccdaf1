import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { advisoryLock } from './advisory-lock.ts';
import type { Database } from './db.ts';

function poolWith(query: () => Promise<{ rows: object[] }>): { db: Database; client: EventEmitter; released: unknown[] } {
  const released: unknown[] = [];
  const client = Object.assign(new EventEmitter(), { query, release: (error?: unknown) => void released.push(error) });
  return { db: { pool: { connect: async () => client } } as unknown as Database, client, released };
}

test('a connection that dies while the lock is asked for goes back to the pool, and nobody dies of it', async () => {
  const { db, client, released } = poolWith(async () => {
    client.emit('error', new Error('read ECONNRESET'));
    client.emit('error', new Error('Connection terminated unexpectedly'));
    throw new Error('Connection terminated unexpectedly');
  });
  await expect(advisoryLock(db, 'relay').hold()).rejects.toThrow('terminated');
  expect(released).toEqual([new Error('Connection terminated unexpectedly')]);
});

test('a held connection that dies is given back once, however often it says so', async () => {
  const { db, client, released } = poolWith(async () => ({ rows: [{ locked: true }] }));
  expect(await advisoryLock(db, 'relay').hold()).toBeDefined();
  client.emit('error', new Error('read ECONNRESET'));
  client.emit('error', new Error('Connection terminated unexpectedly'));
  expect(released).toEqual([new Error('read ECONNRESET')]);
});

test('a lock that another instance has leaves the connection as it was', async () => {
  const { db, client, released } = poolWith(async () => ({ rows: [{ locked: false }] }));
  expect(await advisoryLock(db, 'relay').hold()).toBeUndefined();
  expect(released).toEqual([undefined]);
  expect(client.listenerCount('error')).toBe(0);
});
