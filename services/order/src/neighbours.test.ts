import { expect, test } from 'vitest';
import { errorInfo } from '@millrace/chassis/api/errors';
import { createLog } from '@millrace/chassis/telemetry/log';
import { createNeighbours } from './neighbours.ts';

const refused = async (): Promise<never> => {
  throw new Error('connection refused');
};

test('an outage is said once for all who shared the call, and each of them is refused', async () => {
  const lines: unknown[] = [];
  const log = createLog('order', 'warn', { write: (line: string) => lines.push(JSON.parse(line)) });
  const { prices, reserve } = createNeighbours({ products: { batchGetProducts: refused }, inventory: { reserveStockMany: refused, releaseStock: refused } }, log);
  const all = await Promise.allSettled(Array.from({ length: 30 }, (_, i) => [
    reserve({ orderId: `ord_${i}`, lines: [{ sku: 'mug', quantity: 1 }], holdUntil: new Date() }),
    prices.price([{ sku: 'mug', quantity: 1 }], undefined),
  ]).flat());
  expect(all.map((one) => one.status === 'rejected' && errorInfo(one.reason)?.reason)).toEqual(Array(60).fill('DEPENDENCY_UNAVAILABLE'));
  expect(lines).toHaveLength(2);
  expect(lines).toMatchObject(expect.arrayContaining([expect.objectContaining({ neighbour: 'inventory', callers: 30 }), expect.objectContaining({ neighbour: 'product', callers: 30 })]));
});
