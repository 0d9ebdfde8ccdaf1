import { Code } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { newFolder, startTestPostgres } from '../../../test/support/servers.ts';
import { eventually, refusalOf, startWorld } from './test-support.ts';

test('while the database is away every call says so and when to come back, and it is found again when it is back', async () => {
  const home = newFolder('postgres');
  await using postgres = await startTestPostgres({ home });
  await using world = await startWorld({ mug: {} }, { DATABASE_URL: await postgres.createDatabase('order') });
  const body = (requestId: string) => ({ requestId, customer: {}, lines: [{ sku: 'mug', quantity: 1 }] });
  const { order } = await world.ada.placeOrder(body('r1'));
  const orderId = order?.orderId ?? '';
  const calls = {
    placeOrder: () => world.ada.placeOrder(body('r2')), getOrder: () => world.ada.getOrder({ orderId }), listOrders: () => world.ada.listOrders({}), listStuckOrders: () => world.admin.listStuckOrders({}),
    getOrderTimeline: () => world.ada.getOrderTimeline({ orderId }), cancelOrder: () => world.ada.cancelOrder({ orderId }),
    watchOrder: async () => { for await (const message of world.ada.watchOrder({ orderId, afterVersion: 1 })) expect(message.order).toBeUndefined(); },
  };
  const watching = refusalOf(calls.watchOrder());
  await postgres.stop();
  expect(await watching).toMatchObject({ code: Code.Unavailable });
  for (const call of Object.values(calls)) expect(await refusalOf(call())).toMatchObject({ code: Code.Unavailable, reason: 'DEPENDENCY_UNAVAILABLE' });

  await using _again = await startTestPostgres({ home, port: postgres.port });
  await eventually('the return of the database', async () => world.ada.getOrder({ orderId }).catch(() => undefined), 20_000);
  expect((await world.ada.placeOrder(body('r1'))).order).toEqual(order);
  expect((await world.ada.placeOrder(body('r2'))).order?.version).toBe(1);
  expect((await world.ada.listOrders({})).orders).toHaveLength(2);
});
