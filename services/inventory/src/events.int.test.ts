// Facts of other services on a real Postgres, crossing each other in every order.
import { sql } from '@millrace/chassis/database/db';
import { OrderCancelledSchema, OrderRefundRequestedSchema } from '@millrace/gen/millrace/order/v1/events_pb.js';
import { PaymentSucceededSchema } from '@millrace/gen/millrace/payment/v1/events_pb.js';
import { ProductArchivedSchema, ProductUpdatedSchema } from '@millrace/gen/millrace/product/v1/events_pb.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { created, heard, levels, openInstance, openInventory, said, mustBalance } from '../test/inventory.ts';
import { releaseStock } from './release-stock.ts';

let inventory: Awaited<ReturnType<typeof openInventory>>;
beforeEach(async () => void (inventory = await openInventory()));
afterEach(async () => {
  await mustBalance(inventory.db);
  await inventory[Symbol.asyncDispose]();
});

const SOON = new Date('2100-01-01T00:00:00Z');
const PAST = new Date('2020-01-01T00:00:00Z');
const reserve = (orderId: string, quantity = 2, holdUntil = SOON) => inventory.reserveStock({ orderId, lines: [{ sku: 'a', quantity }], holdUntil, actor: 'order' });
const paid = (orderId: string) => heard(PaymentSucceededSchema, { orderId, version: 2 });
const cancelled = (orderId: string) => heard(OrderCancelledSchema, { orderId, version: 2, reason: 'changed my mind' });
const refund = (orderId: string, refundId: string, quantity: number) => heard(OrderRefundRequestedSchema, { orderId, version: 3, refundId, restockLines: [{ sku: 'a', quantity }] });

async function states(): Promise<Record<string, string>> {
  const rows = await inventory.db.query<{ order_id: string; state: string; release_reason: string }>(sql`SELECT order_id, state, release_reason FROM reservation ORDER BY order_id`);
  return Object.fromEntries(rows.map((row) => [row.order_id, `${row.state} ${row.release_reason}`.trim()]));
}

describe('facts about orders', () => {
  beforeEach(async () => inventory.hear(created('a', 10)));

  const pay = (orderId: string) => inventory.hear(paid(orderId));
  const cancel = (orderId: string) => inventory.hear(cancelled(orderId));
  const expire = async () => {
    await inventory.db.query(sql`UPDATE reservation SET hold_until = ${PAST} WHERE state = 'HELD'`);
    await inventory.expiry.drain();
  };
  const release = (orderId: string) => inventory.db.transaction((tx) => releaseStock(tx, inventory.change, orderId, { reason: '', actor: 'admin' }));

  it.each([
    ['paid', [pay], [8, 0], 'COMMITTED'],
    ['cancelled', [cancel], [10, 0], 'RELEASED ORDER_CANCELLED'],
    ['paid, then cancelled', [pay, cancel], [10, 0], 'RESTOCKED'],
    ['cancelled, then paid', [cancel, pay], [10, 0], 'RELEASED ORDER_CANCELLED'],
    ['expired', [expire], [10, 0], 'RELEASED EXPIRED'],
    ['expired, then paid', [expire, pay], [8, 0], 'COMMITTED'],
    ['paid, then its hold runs out', [pay, expire], [8, 0], 'COMMITTED'],
    ['expired, cancelled, paid', [expire, cancel, pay], [10, 0], 'RELEASED ORDER_CANCELLED'],
    ['expired, paid, cancelled', [expire, pay, cancel], [10, 0], 'RESTOCKED'],
    ['released by hand, then paid', [release, pay], [8, 0], 'COMMITTED'],
    ['released by hand, cancelled, paid', [release, cancel, pay], [10, 0], 'RELEASED ORDER_CANCELLED'],
    ['released by hand twice', [release, release], [10, 0], 'RELEASED REQUESTED'],
  ])('%s', async (_name, steps, level, state) => {
    await reserve('o1');
    for (const step of steps) await step('o1');
    expect(await levels(inventory.db, 'a')).toEqual({ a: level });
    expect(await states()).toEqual({ o1: state });
  });

  it('an order paid after its hold was lost and its stock sold is told as a shortfall, once', async () => {
    await reserve('o1', 6);
    await expire();
    await reserve('o2', 6);
    await inventory.hear(paid('o1'), paid('o2'));
    await inventory.hear(paid('o1'));
    expect(await states()).toEqual({ o1: 'RELEASED SHORTFALL', o2: 'COMMITTED' });
    expect(await said(inventory.db)).toEqual(['inventory.released.o1', 'inventory.shortfall.o1', 'inventory.committed.o2']);
    await inventory.hear(cancelled('o1'));
    expect(await levels(inventory.db, 'a')).toEqual({ a: [4, 0] });
  });

  it('a cancellation that comes before the reservation keeps it away', async () => {
    await inventory.hear(cancelled('o1'));
    await expect(reserve('o1')).rejects.toMatchObject({ reason: 'ILLEGAL_TRANSITION' });
    await inventory.hear(paid('o1'));
    expect(await levels(inventory.db, 'a')).toEqual({ a: [10, 0] });
  });

  it('a payment without any reservation is an error, and its neighbours of the batch can be heard without it', async () => {
    await reserve('o1');
    await expect(inventory.hear(paid('o1'), paid('stranger'))).rejects.toThrow('no reservation of order stranger');
    await inventory.hear(paid('o1'));
    expect(await states()).toEqual({ o1: 'COMMITTED' });
  });

  it('a repeated event does nothing twice', async () => {
    await reserve('o1', 4);
    const events = [paid('o1'), refund('o1', 'r1', 1)];
    await inventory.hear(...events);
    await inventory.hear(...events);
    expect(await levels(inventory.db, 'a')).toEqual({ a: [7, 0] });
    expect(await said(inventory.db)).toEqual(['inventory.committed.o1', 'inventory.released.o1']);
  });

  it('refunds put back what was sold and no more, before or after the sale', async () => {
    await reserve('o1', 4);
    await inventory.hear(refund('o1', 'r1', 1));
    await inventory.hear(paid('o1'));
    expect(await levels(inventory.db, 'a')).toEqual({ a: [7, 0] });
    await inventory.hear(refund('o1', 'r2', 9));
    expect(await levels(inventory.db, 'a')).toEqual({ a: [10, 0] });
    expect(await states()).toEqual({ o1: 'RESTOCKED' });
    await inventory.hear(cancelled('o1'));
    expect(await levels(inventory.db, 'a')).toEqual({ a: [10, 0] });
  });

  it('500 payments in one transaction', async () => {
    await inventory.hear(created('many', 1_000));
    const orderIds = Array.from({ length: 500 }, (_, i) => `many-${i}`);
    await Promise.all(orderIds.map((orderId) => inventory.reserveStock({ orderId, lines: [{ sku: 'many', quantity: 2 }], actor: 'order' })));
    await inventory.hear(...orderIds.map(paid));
    expect(await levels(inventory.db, 'many')).toEqual({ many: [0, 0] });
  });

  it('payments, cancellations, expiry and reservations at once end without a deadlock and with a balanced ledger', async () => {
    const skus = ['x', 'y', 'z'];
    await inventory.hear(...skus.map((sku) => created(sku, 200)));
    const other = openInstance(inventory.url);
    const basket = (i: number) => [...skus.slice(i % 3), ...skus.slice(0, i % 3)].map((sku) => ({ sku, quantity: 1 }));
    const hold = (i: number) => (i % 2 === 0 ? inventory : other).reserveStock({ orderId: `s${i}`, lines: basket(i), holdUntil: i % 4 === 3 ? PAST : SOON, actor: 'order' });
    const first = Array.from({ length: 80 }, (_, i) => i);
    await Promise.all(first.map(hold));
    await Promise.all([
      ...Array.from({ length: 80 }, (_, i) => hold(80 + i)),
      ...[0, 1, 2, 3].map((part) => inventory.hear(...first.filter((i) => i % 4 !== 3 && Math.floor(i / 20) === part).reverse().map((i) => paid(`s${i}`)))),
      ...[0, 1, 2, 3].map((part) => other.hear(...first.filter((i) => i % 5 === 0 && Math.floor(i / 20) === part).map((i) => cancelled(`s${i}`)))),
      inventory.expiry.drain(),
      other.expiry.drain(),
    ]);
    await inventory.expiry.drain();
    const [deadlocks] = await inventory.db.query<{ deadlocks: bigint }>(sql`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`);
    expect(deadlocks?.deadlocks).toBe(0n);
    const sold = first.filter((i) => i % 4 !== 3 && i % 5 !== 0).length;
    const stillHeld = first.filter((i) => 80 + i).filter((i) => i % 4 !== 3).length;
    expect(await levels(inventory.db, ...skus)).toEqual(Object.fromEntries(skus.map((sku) => [sku, [200 - sold, stillHeld]])));
    await other.db.close();
  });
});

describe('facts about products', () => {
  const updated = heard(ProductUpdatedSchema, { sku: 'p', version: 2, name: 'second' });
  const archived = heard(ProductArchivedSchema, { sku: 'p', version: 3 });

  it.each([
    ['in order', [[created('p', 5, 9)], [updated], [archived]]],
    ['in reverse', [[archived], [updated], [created('p', 5, 9)]]],
    ['in one batch', [[archived, created('p', 5, 9), updated]]],
  ])('end in the same record: %s', async (_name, batches) => {
    for (const batch of batches) await inventory.hear(...batch);
    const [record] = await inventory.db.query(sql`SELECT name, on_hand, reserved, threshold, low, discontinued, opened, product_version, version FROM stock WHERE sku = 'p'`);
    expect(record).toEqual({ name: 'second', on_hand: 5, reserved: 0, threshold: 9, low: false, discontinued: true, opened: true, product_version: 2, version: expect.any(Number) });
    await expect(inventory.reserveStock({ orderId: 'o', lines: [{ sku: 'p', quantity: 1 }], actor: 'order' })).rejects.toMatchObject({ reason: 'PRODUCT_ARCHIVED' });
  });

  it('a record that is not open yet is seen by nobody', async () => {
    await inventory.hear(updated);
    expect(await levels(inventory.db, 'p')).toEqual({});
    await expect(inventory.reserveStock({ orderId: 'o', lines: [{ sku: 'p', quantity: 1 }], actor: 'order' })).rejects.toMatchObject({ reason: 'UNKNOWN_SKU' });
  });
});
