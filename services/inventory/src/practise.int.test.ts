// Practising on a real Postgres: it runs what a hold runs, and leaves nothing.
import { sql } from '@millrace/chassis/database/db';
import { expect, it } from 'vitest';
import { openInventory } from '../test/inventory.ts';
import { practise } from './practise.ts';

it('practice goes through and leaves no row', async () => {
  await using inventory = await openInventory();
  let hints = 0;
  inventory.db.onEvents(() => void (hints += 1));
  await practise(inventory.db);
  await practise(inventory.db);
  const rows = await inventory.db.query(sql`SELECT sku FROM stock UNION ALL SELECT order_id FROM reservation UNION ALL SELECT sku FROM movement UNION ALL SELECT subject FROM outbox`);
  expect({ rows, hints }).toEqual({ rows: [], hints: 0 });
});

it('two instances that start together both get through', async () => {
  await using inventory = await openInventory();
  expect(await Promise.all([practise(inventory.db), practise(inventory.db)])).toEqual([undefined, undefined]);
});
