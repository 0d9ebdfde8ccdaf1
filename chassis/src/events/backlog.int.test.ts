import { randomUUID } from 'node:crypto';
import { ProductCreatedSchema } from '@millrace/gen/millrace/product/v1/events_pb.js';
import { expect, it } from 'vitest';
import { valuesIn } from '../../../test/support/metrics.ts';
import { createDatabase } from '../../../test/support/servers.ts';
import { openDatabase, sql } from '../database/db.ts';
import { createLog } from '../telemetry/log.ts';
import { createRegistry } from '../telemetry/metrics.ts';
import { backlogMetrics } from './backlog.ts';
import { buryEvent } from './dead-letters.ts';
import { appendEvents, event } from './outbox.ts';

const log = createLog('test', 'silent');
const valueOf = (page: string, name: string): number | undefined => valuesIn(page, name, '\\{said_by="product",service="product"\\}')[0];

it('says how many events wait and for how long, and how many nobody could handle', async () => {
  await using database = await createDatabase('product');
  const db = openDatabase(database.url, log);
  const registry = createRegistry('product');
  backlogMetrics(registry, new Map([['product', db]]));
  const shown = async (): Promise<(number | undefined)[]> => {
    const page = await registry.metrics();
    return ['millrace_outbox_unpublished_events', 'millrace_outbox_oldest_age_seconds', 'millrace_dead_letters_open'].map((name) => valueOf(page, name));
  };
  expect(await shown()).toEqual([0, 0, 0]);

  await db.transaction((tx) => appendEvents(tx, ['mug', 'hat', 'pen'].map((sku) => event(ProductCreatedSchema, { sku, version: 1 }))));
  await db.query(sql`UPDATE outbox SET create_time = create_time - interval '1 hour' WHERE position = (SELECT min(position) FROM outbox)`);
  const bury = async (sequence: bigint): Promise<void> => buryEvent(db, { stream: 'PRODUCTS', sequence, subject: 's', headers: { 'ce-id': randomUUID() }, body: Buffer.from('x'), deliveries: 8 }, new Error('broken'));
  await bury(1n);
  await bury(2n);
  const [unpublished, oldest, dead] = await shown();
  expect([unpublished, dead]).toEqual([3, 2]);
  expect(oldest).toBeGreaterThanOrEqual(3_600);
  expect(oldest).toBeLessThan(3_700);

  // The first two are published, and the first of them is to be said once more.
  await db.query(sql`UPDATE outbox_mark SET position = (SELECT max(position) - 1 FROM outbox)`);
  await db.query(sql`INSERT INTO outbox_again SELECT min(position) FROM outbox`);
  await db.query(sql`UPDATE dead_letter SET state = 2`);
  expect((await shown())).toEqual([2, expect.any(Number), 0]);
  expect((await shown())[1]).toBeLessThan(3_600);
  await db.close();
});

it('leaves out what a database does not tell in time, and shows the rest', async () => {
  await using database = await createDatabase('product');
  const db = openDatabase(database.url, log);
  const registry = createRegistry('product');
  backlogMetrics(registry, new Map([['product', db]]));
  const locker = openDatabase(database.url, log);
  await locker.transaction(async (tx) => {
    await tx.query(sql`LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE`);
    const page = await registry.metrics();
    expect(page).toMatch(/^process_resident_memory_bytes/m);
    expect(page).not.toMatch(/^millrace_outbox_unpublished_events\{/m);
  });
  await expect.poll(async () => valueOf(await registry.metrics(), 'millrace_outbox_unpublished_events'), { timeout: 10_000 }).toBe(0);
  await Promise.all([locker.close(), db.close()]);
});
