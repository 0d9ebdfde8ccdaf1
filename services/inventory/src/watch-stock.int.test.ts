import { expect, it } from 'vitest';
import { created, openInventory } from '../test/inventory.ts';
import { createWatchStock } from './watch-stock.ts';

const HEARTBEAT_MS = 20;

it('a stream on which nothing changes shows that it lives, and ends with its signal', async () => {
  await using inventory = await openInventory();
  await inventory.hear(created('a', 5));
  const end = new AbortController();
  const stream = createWatchStock(inventory.db, inventory.changes, HEARTBEAT_MS)(['a'], end.signal);
  expect((await stream.next()).value).toMatchObject({ sku: 'a', onHand: 5 });
  expect(await stream.next()).toEqual({ done: false, value: undefined });
  expect(await stream.next()).toEqual({ done: false, value: undefined });
  await inventory.reserveStock({ orderId: 'o1', lines: [{ sku: 'a', quantity: 1 }], actor: 'order' });
  let next = await stream.next();
  while (next.value === undefined) next = await stream.next();
  expect(next.value).toMatchObject({ sku: 'a', reserved: 1 });
  end.abort();
  expect(await stream.next()).toEqual({ done: true, value: undefined });
});

it('who watches what has no level yet is told at once that he watches', async () => {
  await using inventory = await openInventory();
  const stream = createWatchStock(inventory.db, inventory.changes)(['nothing'], new AbortController().signal);
  expect(await stream.next()).toEqual({ done: false, value: undefined });
  await stream.return(undefined);
});
