import { createChanges } from '@millrace/chassis/flow/changes';
import { createReader } from '@millrace/chassis/flow/reader';
import { expect, it } from 'vitest';
import { created, openInventory } from '../test/inventory.ts';
import type { Stock } from './stock.ts';
import { loadLevels } from './store.ts';
import { createWatchStock } from './watch-stock.ts';

const HEARTBEAT_MS = 20;

it('a stream on which nothing changes shows that it lives, and ends with its signal', async () => {
  await using inventory = await openInventory();
  await inventory.hear(created('a', 5));
  const end = new AbortController();
  const stream = createWatchStock(inventory.readLevel, inventory.changes, { heartbeatMs: HEARTBEAT_MS })(['a'], end.signal);
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
  const stream = createWatchStock(inventory.readLevel, inventory.changes)(['nothing'], new AbortController().signal);
  expect(await stream.next()).toEqual({ done: false, value: undefined });
  await stream.return(undefined);
});

it('a crowd that watches the same reads it in a few statements', async () => {
  await using inventory = await openInventory();
  await inventory.hear(created('a', 5));
  const asked: string[][] = [];
  const readLevel = createReader('counted', async (skus) => {
    asked.push(skus);
    return loadLevels(inventory.db, skus);
  });
  const end = new AbortController();
  const watch = createWatchStock(readLevel, inventory.changes);
  const crowd = Array.from({ length: 100 }, () => watch(['a'], end.signal));
  const told = async () => (await Promise.all(crowd.map((stream) => stream.next()))).map(({ value }) => (value as Stock).reserved);
  expect(new Set(await told())).toEqual(new Set([0]));
  expect(asked).toEqual([['a']]);
  const next = told();
  await inventory.reserveStock({ orderId: 'o1', lines: [{ sku: 'a', quantity: 1 }], actor: 'order' });
  expect(new Set(await next)).toEqual(new Set([1]));
  // Their pauses end in a few turns of the event loop.
  expect(asked.length).toBeLessThan(crowd.length / 4);
  end.abort();
  await Promise.all(crowd.map((stream) => stream.next()));
});

it('what changes all the time is told at a pace that all watchers share, and told is the latest', async () => {
  const changes = createChanges();
  const level: Stock = { sku: 'a', name: '', onHand: 5, reserved: 0, threshold: 0, low: false, discontinued: false, opened: true, productVersion: 1, version: 1, updateTime: new Date() };
  let version = 1;
  const selling = setInterval(() => {
    version += 1;
    changes.notify('a');
  }, 1);
  const watch = createWatchStock(async () => ({ ...level, version }), changes, { toldPerSecond: 10 });
  const end = new AbortController();
  const streams = [watch(['a'], end.signal), watch(['a'], end.signal)];
  const begun = performance.now();
  for (let told = 0; told < 3; told += 1) {
    const before = version;
    const heard = await Promise.all(streams.map((stream) => stream.next()));
    for (const { value } of heard) expect((value as Stock).version).toBeGreaterThanOrEqual(before);
  }
  // Two watchers, ten levels a second: a fifth of a second each.
  expect(performance.now() - begun).toBeGreaterThan(350);
  clearInterval(selling);
  end.abort();
  expect(await Promise.all(streams.map((stream) => stream.next()))).toEqual(streams.map(() => ({ done: true, value: undefined })));
});
