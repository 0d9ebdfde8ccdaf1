// Practising on a real Postgres: it runs what an order runs, and leaves nothing.
import { openDatabase, sql } from '@millrace/chassis/database/db';
import { createLog } from '@millrace/chassis/telemetry/log';
import { expect, it } from 'vitest';
import { createDatabase } from '../../../test/support/servers.ts';
import { practise } from './practise.ts';

it('practice goes through and leaves no row', async () => {
  await using database = await createDatabase('order');
  const db = openDatabase(database.url, createLog('order', 'silent'));
  let hints = 0;
  db.onEvents(() => void (hints += 1));
  await practise(db);
  await practise(db);
  const rows = await db.query(sql`SELECT order_id FROM orders UNION ALL SELECT order_id FROM timeline UNION ALL SELECT subject FROM outbox`);
  expect({ rows, hints }).toEqual({ rows: [], hints: 0 });
  await db.close();
});
