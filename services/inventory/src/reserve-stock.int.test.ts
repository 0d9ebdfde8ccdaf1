// Holding stock on a real Postgres: crowds, repeats, poison, several instances.
import { sql } from '@millrace/chassis/database/db';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { created, levels, openInstance, openInventory, said, mustBalance } from '../test/inventory.ts';
import type { Line, Reservation } from './reservation.ts';
import type { ReserveStock } from './reserve-stock.ts';

let inventory: Awaited<ReturnType<typeof openInventory>>;
beforeEach(async () => void (inventory = await openInventory()));
afterEach(async () => {
  await mustBalance(inventory.db);
  await inventory[Symbol.asyncDispose]();
});

const lines = (...wanted: [sku: string, quantity: number][]): Line[] => wanted.map(([sku, quantity]) => ({ sku, quantity }));

/** Outcomes by name: HELD, or the reason of the refusal. */
async function outcomes(attempts: Promise<Reservation>[]): Promise<Record<string, number>> {
  const names = (await Promise.allSettled(attempts)).map((result) => {
    if (result.status === 'fulfilled') return result.value.state;
    const { reason, message } = result.reason as { reason?: string; message: string };
    return reason ?? message;
  });
  return Object.fromEntries(Object.entries(Object.groupBy(names, (name) => name)).map(([name, all]) => [name, all?.length ?? 0]));
}

function crowd(buyers: number, reserve: (i: number) => ReserveStock): Promise<Reservation>[] {
  return Array.from({ length: buyers }, (_, i) => reserve(i)({ orderId: `order-${i}`, lines: i % 2 === 0 ? lines(['a', 1], ['b', 1]) : lines(['b', 1], ['a', 1]), actor: 'order' }));
}

it('300 buyers at once for 50 units over two skus in opposite line order: exactly 50 hold them, the rest is out of stock', async () => {
  await inventory.hear(created('a', 50), created('b', 50));
  expect(await outcomes(crowd(300, () => inventory.reserveStock))).toEqual({ HELD: 50, OUT_OF_STOCK: 250 });
  expect(await levels(inventory.db, 'a', 'b')).toEqual({ a: [50, 50], b: [50, 50] });
});

it('three instances on one database do not oversell', async () => {
  await inventory.hear(created('a', 50), created('b', 50));
  const others = [openInstance(inventory.url), openInstance(inventory.url)];
  const reserve = [inventory.reserveStock, ...others.map((other) => other.reserveStock)];
  expect(await outcomes(crowd(300, (i) => reserve[Math.floor(i / 2) % 3] ?? inventory.reserveStock))).toEqual({ HELD: 50, OUT_OF_STOCK: 250 });
  expect(await levels(inventory.db, 'a', 'b')).toEqual({ a: [50, 50], b: [50, 50] });
  await Promise.all(others.map((other) => other.db.close()));
});

it('the same order sent to two instances at once is held once, and both get the same answer', async () => {
  await inventory.hear(created('a', 5));
  const other = openInstance(inventory.url);
  const wish = { orderId: 'o1', lines: lines(['a', 2]), actor: 'order' };
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? inventory : other).reserveStock(wish)));
  for (const answer of answers) expect(answer).toEqual(answers[0]);
  expect(await levels(inventory.db, 'a')).toEqual({ a: [5, 2] });
  await other.db.close();
});

it('a repeat answers the same reservation, also within one batch; other lines are refused', async () => {
  await inventory.hear(created('a', 5), created('b', 5));
  const wish = { orderId: 'o1', lines: lines(['a', 1], ['b', 1], ['a', 1]), actor: 'order', holdUntil: new Date('2100-01-01T00:00:00.123Z') };
  const [first, second] = await Promise.all([inventory.reserveStock(wish), inventory.reserveStock(wish)]);
  expect(first).toMatchObject({ state: 'HELD', version: 1, lines: lines(['a', 2], ['b', 1]), holdUntil: wish.holdUntil });
  expect(second).toEqual(first);
  expect(await inventory.reserveStock({ ...wish, lines: lines(['b', 1], ['a', 2]) })).toEqual(first);
  await expect(inventory.reserveStock({ ...wish, lines: lines(['a', 2]) })).rejects.toMatchObject({ reason: 'ILLEGAL_TRANSITION', metadata: { state: 'RESERVATION_STATE_HELD' } });
});

it('a reservation that can not be stored fails alone', async () => {
  await inventory.hear(created('a', 50));
  const poison = { orderId: 'nul\0', lines: lines(['a', 1]), actor: 'order' };
  const attempts = Array.from({ length: 9 }, (_, i) => inventory.reserveStock(i === 4 ? poison : { orderId: `o${i}`, lines: lines(['a', 1]), actor: 'order' }));
  const results = await Promise.allSettled(attempts);
  expect(results.map(({ status }) => status)).toEqual(Array.from({ length: 9 }, (_, i) => (i === 4 ? 'rejected' : 'fulfilled')));
  expect(await levels(inventory.db, 'a')).toEqual({ a: [50, 8] });
});

it('a caller who has gone away while waiting is not left with stock', async () => {
  await inventory.hear(created('a', 5));
  const hold = (orderId: string, signal?: AbortSignal) => inventory.reserveStock({ orderId, lines: lines(['a', 1]), actor: 'order' }, signal);
  const results = await Promise.allSettled([hold('o1'), hold('o2', AbortSignal.abort()), hold('o3')]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await levels(inventory.db, 'a')).toEqual({ a: [5, 2] });
});

it('levels of one batch are said once each, holds not at all, and the alert once until the stock has recovered', async () => {
  await inventory.hear(created('a', 10, 4), created('b', 10, 4));
  const before = (await said(inventory.db, '-')).length;
  await Promise.all(Array.from({ length: 6 }, (_, i) => inventory.reserveStock({ orderId: `o${i}`, lines: lines(['a', 1]), actor: 'order' })));
  expect((await said(inventory.db, '-')).slice(before)).toEqual(['inventory.stock_changed.a', 'inventory.low_stock.a']);
  await inventory.reserveStock({ orderId: 'o7', lines: lines(['a', 1]), actor: 'order' });
  expect(await said(inventory.db)).toEqual(['inventory.low_stock.a']);
});

it('says why not: unknown, archived, out of stock', async () => {
  await inventory.hear(created('a', 1));
  const attempt = (sku: string, quantity: number) => inventory.reserveStock({ orderId: `o-${sku}`, lines: lines([sku, quantity]), actor: 'order' });
  await expect(attempt('nothing', 1)).rejects.toMatchObject({ reason: 'UNKNOWN_SKU', metadata: { sku: 'nothing' } });
  await expect(attempt('a', 2)).rejects.toMatchObject({ reason: 'OUT_OF_STOCK', metadata: { sku: 'a', requested: '2', available: '1' } });
});

it('the ledger can not be changed, and the level can not be oversold, not even by hand', async () => {
  await inventory.hear(created('a', 1));
  await expect(inventory.db.query(sql`UPDATE movement SET on_hand_delta = 2`)).rejects.toThrow('append only');
  await expect(inventory.db.query(sql`DELETE FROM movement`)).rejects.toThrow('append only');
  await expect(inventory.db.query(sql`TRUNCATE movement`)).rejects.toThrow('append only');
  await expect(inventory.db.query(sql`UPDATE stock SET reserved = 2`)).rejects.toThrow('stock_not_oversold');
  await expect(inventory.db.query(sql`UPDATE stock SET reserved = -1`)).rejects.toThrow('stock_reserved_check');
});
