// What is deleted in time, and what never is.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../../test/support/servers.ts';
import { createLog } from '../telemetry/log.ts';
import { openDatabase, sql, type Database } from './db.ts';
import { createRetention } from './retention.ts';

const log = createLog('test', 'silent');
let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await createDatabase('product');
  db = openDatabase(database.url, log);
});
afterAll(async () => {
  await db.close();
  await database.drop();
});
beforeEach(async () => {
  for (const statement of [sql`DELETE FROM outbox`, sql`DELETE FROM inbox`, sql`DELETE FROM request_memory`]) await db.query(statement);
});

const say = (days: number, isPublished: boolean, count = 1) =>
  db.query(sql`
    WITH said AS (
      INSERT INTO outbox (event_id, subject, type, aggregate_id, aggregate_version, body, create_time)
      SELECT gen_random_uuid(), 's', ${`${days} days, ${isPublished ? 'published' : 'waiting'}`}, 'a', 1, '{}', now() - make_interval(days => ${days})
      FROM generate_series(1, ${count}::int) RETURNING position)
    UPDATE outbox_mark SET position = (SELECT max(position) FROM said) WHERE ${isPublished}::boolean`);
const left = async () => (await db.query<{ type: string }>(sql`SELECT DISTINCT type FROM outbox ORDER BY type`)).map(({ type }) => type);

test('published events go after a week, and what is not published stays however old', async () => {
  await say(6, true);
  await say(8, true);
  await say(90, false);
  await createRetention(db, log).drain();
  expect(await left()).toEqual(['6 days, published', '90 days, waiting']);
});

test('what is to be published once more stays', async () => {
  await say(8, true, 2);
  await db.query(sql`INSERT INTO outbox_again SELECT max(position) FROM outbox`);
  await createRetention(db, log).drain();
  expect(await db.query(sql`SELECT position FROM outbox`)).toEqual(await db.query(sql`SELECT position FROM outbox_again`));
  await db.query(sql`DELETE FROM outbox_again`);
});

test('a backlog of many steps is worked off', async () => {
  await say(8, true, 12_000);
  await say(1, true, 3);
  await createRetention(db, log).drain();
  expect(await db.query(sql`SELECT count(*)::int AS count FROM outbox`)).toEqual([{ count: 3 }]);
});

test('ids of events are remembered for longer than streams keep messages, answers to requests for a month', async () => {
  await db.query(sql`INSERT INTO inbox (event_id, handle_time) SELECT gen_random_uuid(), now() - make_interval(days => days) FROM unnest(ARRAY[1, 34, 36, 400]) AS days`);
  await db.query(sql`INSERT INTO request_memory (method, caller, request_id, fingerprint, create_time) SELECT 'm', 'c', days::text, 'f', now() - make_interval(days => days) FROM unnest(ARRAY[1, 29, 31]) AS days`);
  await createRetention(db, log).drain();
  expect(await db.query(sql`SELECT count(*)::int AS count FROM inbox`)).toEqual([{ count: 2 }]);
  expect(await db.query(sql`SELECT request_id FROM request_memory ORDER BY create_time`)).toEqual([{ request_id: '29' }, { request_id: '1' }]);
});
