// One of several instances does a job: whoever holds a session's advisory lock. It is lost with the connection, never forgotten.

import type pg from 'pg';
import { sql, type Database, type Queryable, type Statement } from './db.ts';

export type AdvisoryLock = {
  /** The session that holds the lock, the same object as long as it does; undefined while another instance has it. */
  hold(): Promise<Queryable | undefined>;
  release(): void;
};

/** `settings` hold on the connection as long as the lock does. */
export function advisoryLock(db: Database, name: string, settings?: Statement): AdvisoryLock {
  let held: { client: pg.PoolClient; session: Queryable } | undefined;

  const drop = (error?: Error) => {
    const lost = held;
    held = undefined;
    // The session ends with the connection, and the lock with the session.
    lost?.client.release(error ?? true);
  };

  const sessionOf = (client: pg.PoolClient): Queryable => ({
    async query<Row>(statement: Statement) {
      try {
        return (await client.query(statement)).rows as Row[];
      } catch (error) {
        if (held?.client === client) drop(error as Error);
        throw error;
      }
    },
  });

  return {
    async hold() {
      if (held === undefined) {
        const client = await db.pool.connect();
        // A connection that dies says so more than once, and while it is lent nobody else listens.
        const onError = (error: Error) => {
          if (held?.client === client) drop(error);
        };
        client.on('error', onError);
        const locked = await tryLock(client, name, settings);
        if (!locked) {
          client.off('error', onError);
          client.release();
          return undefined;
        }
        held = { client, session: sessionOf(client) };
      }
      return held.session;
    },
    release: () => drop(),
  };
}

async function tryLock(client: pg.PoolClient, name: string, settings?: Statement): Promise<boolean> {
  try {
    const { rows } = await client.query(sql`SELECT pg_try_advisory_lock(hashtext(${name})) AS locked`);
    if (rows[0]?.locked !== true) return false;
    if (settings) await client.query(settings);
    return true;
  } catch (error) {
    // Not given back, it would be missing from the pool for ever.
    client.release(error as Error);
    throw error;
  }
}
