// However many messages and contacts there are, every statement on the way of a message reads only those that it is about.
import { type Database, openDatabase, type Queryable, sql, type Tx } from '@millrace/chassis/database/db';
import { createLog } from '@millrace/chassis/telemetry/log';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readingsOf, statementsOf } from '../../../test/support/plans.ts';
import { createDatabase, type TestDatabase } from '../../../test/support/servers.ts';
import { messagesFor } from '../src/notification.ts';
import { createStore } from '../src/store.ts';

const ROWS = 20_000;
const BATCH = 30;
/** A statement may come upon each of its rows in a few nodes, and upon the versions of them that updates have left behind. */
const MOST = BATCH * 5;

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await createDatabase('notification');
  // One connection: the plans are made here while the tables are empty, as in a service on its first day.
  db = openDatabase(database.url, createLog('test', 'silent'), { max: 1 });
  await statementsOf(db, work);
  await db.query(sql`INSERT INTO contact (order_id, customer_id, name, email, phone) SELECT 'ord_' || n, 'c' || n, 'Ada', 'ada@mail.example', '' FROM generate_series(1, ${ROWS}::int) n`);
  await db.query(sql`INSERT INTO preferences (customer_id, email_enabled, sms_enabled, locale) SELECT 'c' || n, true, true, 'en' FROM generate_series(1, ${ROWS}::int) n`);
  // Sent, but for a batch that waits and a batch that is on its way.
  await db.query(sql`
    INSERT INTO notification (notification_id, idempotency_key, order_id, kind, channel, recipient, details, state, sending, sending_time, resend_time, send_time)
    SELECT 'ntf_' || n, 'key_' || n, 'ord_' || n, 'order_confirmation', 'email', '', '{}', CASE WHEN n > ${2 * BATCH}::int THEN 'sent' ELSE 'pending' END,
      n <= ${BATCH}::int, now(), now(), CASE WHEN n > ${2 * BATCH}::int THEN now() END
    FROM generate_series(1, ${ROWS}::int) n`);
  await db.query(sql`INSERT INTO send_queue (notification_id, channel, doubtful) SELECT notification_id, channel, sending FROM notification WHERE state = 'pending'`);
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

/** What the news of an order, its mails and the reports about them ask of the database. */
async function work(on: Queryable): Promise<void> {
  const store = createStore({ ...db, ...on });
  const tx: Tx = { ...on, afterCommit() {}, writesEvents() {} };
  const numbers = Array.from({ length: BATCH }, (_, i) => i * 500 + 1);
  await store.meet(tx, numbers.map((n) => ({ orderId: `ord_${n}`, customerId: `c${n}`, name: 'Ada', email: 'ada@mail.example', phone: '', order: { currency: 'EUR', total: '1', lines: [] } })));
  await store.queue(tx, numbers.flatMap((n) => messagesFor({ kind: 'payment_confirmation', orderId: `ord_${n}`, details: {} }, [])));
  const [due] = await store.claimDue('email', BATCH);
  await store.claimDoubtful('email', BATCH);
  await store.report(numbers.map((n) => ({ notificationId: `ntf_${n}`, fact: { type: 'delivered', providerMessageId: 'm' } })));
  if (due) await store.report([{ notificationId: due.notificationId, fact: { type: 'sent', providerMessageId: 'm' }, seen: due.seen }]);
}

test.each(['made on empty tables', 'made anew on full ones'])('plans %s read no more than a batch', async (when) => {
  if (when !== 'made on empty tables') await db.query(sql`ANALYZE`);
  const statements = await statementsOf(db, work);
  expect(new Set(statements.map(({ name }) => name)).size).toBeGreaterThanOrEqual(6);
  for (const statement of statements) {
    const readings = await readingsOf(db, statement);
    const excess = readings.filter(({ node, rows }) => rows > MOST || node === 'Seq Scan');
    expect(excess, statement.text).toEqual([]);
  }
});
