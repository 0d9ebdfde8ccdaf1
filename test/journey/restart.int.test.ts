// Stopping, starting again, and dying altogether.

import { randomUUID } from 'node:crypto';
import { OrderState } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { expect, test } from 'vitest';
import { newFolder } from '../support/servers.ts';
import { startSystem, until } from '../support/system.ts';

test('a clean stop takes at most 5 s, and after kill -9 of everything the next start goes on and loses nothing', async () => {
  const home = newFolder('restart');
  const first = await startSystem({ home });
  const { products } = await first.as('buyer').products.listProducts({ pageSize: 1 });
  const sku = products[0]?.sku ?? '';
  const place = async (system: typeof first) => {
    const { order } = await system.as('buyer').orders.placeOrder({
      requestId: randomUUID(), customer: { email: 'again@example.com' }, lines: [{ sku, quantity: 1 }], paymentMethod: 'pm_card_visa',
    });
    return order?.orderId ?? '';
  };
  const orderIds = [await place(first)];
  expect(await first.stop()).toBeLessThan(5_000);

  const second = await startSystem({ home });
  orderIds.push(await place(second), await place(second));
  const { pids } = second.runtime;
  // The launcher first, so that it restarts nobody.
  for (const name of ['launcher', ...Object.keys(pids).filter((key) => key !== 'launcher')]) {
    const pid = pids[name];
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  }

  await using third = await startSystem({ home });
  const { orders } = third.as('buyer');
  for (const orderId of orderIds) {
    await until(async () => (await orders.getOrder({ orderId })).order?.state === OrderState.CONFIRMED, 30_000, () => orderId);
  }
  const ledger = (await (await fetch(`${third.runtime.sandbox}/ledger/stripe`)).json()) as { order_id: string; type: string }[];
  for (const orderId of orderIds) {
    expect(ledger.filter((entry) => entry.order_id === orderId).map((entry) => entry.type)).toEqual(['captured']);
  }
}, 240_000);
