// Every service is killed in turn while buyers buy. What was acknowledged settles: one order per request, one capture, one mail per kind.

import { createHash, randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { OrderState } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSystem, until, type Clients, type System } from '../support/system.ts';

const SEED = process.env['MILLRACE_SEED'] ?? 'first light';
const BUYERS = 8;
const ORDERS_EACH = 15;
/** A buyer repeats a call that failed, with the same request id, this often. */
const TRIES = 60;
const STOCK = 10_000;

let system: System;
let admin: Clients;
beforeAll(async () => {
  system = await startSystem();
  admin = system.as('admin');
}, 120_000);
afterAll(async () => system[Symbol.asyncDispose](), 30_000);

/** Numbers in [0, 1) that depend on the seed alone. */
function seeded(seed: string): () => number {
  let i = 0;
  return () => createHash('sha256').update(`${seed} ${i++}`).digest().readUInt32BE() / 2 ** 32;
}

test('kill -9 of each service in turn under load loses nothing and doubles nothing', async () => {
  const random = seeded(SEED);
  const sku = `KILL-${randomUUID().slice(0, 8)}`;
  await admin.products.createProduct({ product: { sku, name: 'Survivor', price: { currencyCode: 'EUR', minorUnits: 700n } }, initialStock: STOCK });
  await until(async () => (await admin.inventory.batchGetStock({ skus: [sku] })).stockLevels.length === 1);

  const placed = new Map<string, string>();
  let failed = 0;
  let bought = 0;
  const buyer = async (name: number) => {
    const { orders } = system.as('buyer');
    for (let i = 0; i < ORDERS_EACH; i += 1) {
      const requestId = randomUUID();
      const request = { requestId, customer: { name: `B${name}`, email: `b${name}-${i}@example.com` }, lines: [{ sku, quantity: 1 }], paymentMethod: 'pm_card_visa' };
      for (let attempt = 1; ; attempt += 1) {
        try {
          const { order } = await orders.placeOrder(request, { timeoutMs: 10_000 });
          placed.set(requestId, order?.orderId ?? '');
          break;
        } catch (error) {
          failed += 1;
          if (attempt >= TRIES) throw error;
          await setTimeout(100 + random() * 100);
        }
      }
      bought += 1;
    }
  };

  const buying = Promise.all(Array.from({ length: BUYERS }, (_, name) => buyer(name)));
  const killed: string[] = [];
  const victims = ['order', 'inventory', 'payment', 'product', 'notification', 'edge'].sort(() => random() - 0.5);
  for (const [i, victim] of victims.entries()) {
    // Spread over the load, so that each kill hits work in flight.
    const goal = ((i + 0.5 + random() / 2) * BUYERS * ORDERS_EACH) / (victims.length + 1);
    await until(() => bought >= goal, 90_000, () => `${bought} of ${goal} before ${victim}; killed ${killed.join()}\n${system.output()}`);
    const pid = system.runtime.pids[victim];
    if (pid === undefined) throw new Error(`no pid of ${victim}`);
    process.kill(pid, 'SIGKILL');
    killed.push(victim);
    await until(() => system.runtime.pids[victim] !== pid, 30_000);
  }
  await buying;
  expect(killed).toHaveLength(6);
  expect(failed).toBeGreaterThan(0);

  const orderIds = [...placed.values()];
  expect(new Set(orderIds).size).toBe(BUYERS * ORDERS_EACH);
  const settle = performance.now();
  for (const orderId of orderIds) {
    await until(async () => (await admin.orders.getOrder({ orderId })).order?.state === OrderState.CONFIRMED, 90_000, () => orderId);
  }
  const ledger = async (provider: string) => (await (await fetch(`${system.runtime.sandbox}/ledger/${provider}`)).json()) as { order_id: string; type?: string; kind?: string }[];
  const mine = new Set(orderIds);
  await until(async () => (await ledger('postmark')).filter((mail) => mine.has(mail.order_id)).length >= 2 * mine.size, 90_000);
  await until(async () => (await admin.inventory.getStock({ sku })).stockLevel?.onHand === STOCK - mine.size, 30_000);
  console.log(`${mine.size} orders, ${failed} failed calls, settled ${((performance.now() - settle) / 1000).toFixed(1)} s after the last`);

  const captures = (await ledger('stripe')).filter((entry) => entry.type === 'captured' && mine.has(entry.order_id)).map((entry) => entry.order_id);
  expect(captures.toSorted()).toEqual(orderIds.toSorted());
  const mails = (await ledger('postmark')).filter((mail) => mine.has(mail.order_id)).map((mail) => `${mail.order_id} ${mail.kind}`);
  const wanted = orderIds.flatMap((orderId) => [`${orderId} order_confirmation`, `${orderId} payment_confirmation`]);
  expect(mails.toSorted()).toEqual(wanted.toSorted());
  expect((await admin.inventory.getStock({ sku })).stockLevel).toMatchObject({ onHand: STOCK - mine.size, reserved: 0 });
}, 300_000);
