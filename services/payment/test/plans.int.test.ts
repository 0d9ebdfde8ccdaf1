// However many payments there are, every statement on the way of an order reads only those that it is about.
import { type Database, type Queryable, openDatabase, sql } from '@millrace/chassis/database/db';
import { createLog } from '@millrace/chassis/telemetry/log';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readingsOf, statementsOf } from '../../../test/support/plans.ts';
import { createDatabase, type TestDatabase } from '../../../test/support/servers.ts';
import { openAccount } from '../src/payment.ts';
import { insertAccounts, saveAccounts } from '../src/save.ts';
import { claimDue, claimOrder, lockAccounts, ordersOfIntents, readAccounts, readAccountsOfIntents, rememberWebhooks } from '../src/store.ts';

const ROWS = 20_000;
const BATCH = 30;
/** A statement may come upon each of its rows in a few nodes, and upon the versions of them that updates have left behind. */
const MOST = BATCH * 5;

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await createDatabase('payment');
  // One connection: the plans are made here while the tables are empty, as in a service on its first day.
  db = openDatabase(database.url, createLog('test', 'silent'), { max: 1 });
  await statementsOf(db, work);
  await db.query(sql`
    INSERT INTO payment (payment_id, order_id, customer_id, amount, currency, payment_method, state, captured, provider_payment_id, attempts, answered, due_time, version, next_attempt_time)
    SELECT 'pay_' || n, 'ord_' || n, 'c', 100, 'EUR', 'pm', CASE WHEN n > ${BATCH}::int THEN 'SUCCEEDED' ELSE 'PROCESSING' END, CASE WHEN n > ${BATCH}::int THEN 100 ELSE 0 END,
      'pi_' || n, 1, 1, now() + interval '1 hour', 1, CASE WHEN n <= ${BATCH}::int THEN now() END
    FROM generate_series(1, ${ROWS}::int) n`);
  await db.query(sql`INSERT INTO refund (refund_id, order_id, amount, state, reason) SELECT 'ref_' || n, 'ord_' || n, 1, 'FAILED', '' FROM generate_series(1, ${ROWS}::int) n`);
  await db.query(sql`INSERT INTO webhook_event (id, type) SELECT 'evt_' || n, 'x' FROM generate_series(1, ${ROWS}::int) n`);
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

/** What an order, its webhooks and its refund ask of the database. */
async function work(on: Queryable): Promise<void> {
  const numbers = Array.from({ length: BATCH }, (_, i) => i * 500 + 1);
  const orders = numbers.map((n) => `ord_${n}`);
  const intents = numbers.map((n) => `pi_${n}`);
  await insertAccounts(on, numbers.map((n) => openAccount({ orderId: `new_${n}`, customerId: 'c', amount: 1n, currency: 'EUR', paymentMethod: 'pm', dueTime: new Date(Date.now() + 1e6) })), () => 60_000);
  await claimDue(on, BATCH);
  await claimOrder(on, 'ord_1');
  await lockAccounts(on, orders);
  const accounts = [...(await readAccounts(on, orders)).values()];
  await readAccountsOfIntents(on, intents);
  await ordersOfIntents(on, intents);
  await rememberWebhooks(on, numbers.map((n) => ({ id: `hook_${n}`, type: 'x' })));
  const blank = openAccount({ orderId: 'ord_0', customerId: '', amount: 100n, currency: 'EUR', paymentMethod: '', dueTime: new Date() });
  const refund = { amount: 1n, state: 'FAILED' as const, reason: '', providerRefundId: '', failureMessage: 'no' };
  await saveAccounts(on, [blank, ...accounts].map((account) => ({
    account, refunds: [{ ...refund, refundId: account.payment.orderId.replace('ord', 'ref') }], told: [{ kind: 'succeeded' as const, payment: account.payment }], changed: true, dueMs: 0, atLatest: true, lease: 'released' as const, stamp: null,
  })));
}

test.each(['made on empty tables', 'made anew on full ones'])('plans %s read no more than a batch', async (when) => {
  if (when !== 'made on empty tables') await db.query(sql`ANALYZE`);
  const statements = await statementsOf(db, work);
  expect(statements.length).toBeGreaterThanOrEqual(9);
  for (const statement of statements) {
    const readings = await readingsOf(db, statement);
    const excess = readings.filter(({ node, rows }) => rows > MOST || node === 'Seq Scan');
    expect(excess, statement.text).toEqual([]);
  }
});
