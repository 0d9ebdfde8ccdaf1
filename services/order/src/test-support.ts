// A running order service for tests: real Postgres, neighbours played by functions.
import { randomUUID } from 'node:crypto';
import { create, type Message, type MessageInitShape } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { Client } from '@connectrpc/connect';
import { errorInfo } from '@millrace/chassis/api/errors';
import { createServiceClient } from '@millrace/chassis/clients/service-client';
import { openDatabase, sql } from '@millrace/chassis/database/db';
import { createLog } from '@millrace/chassis/telemetry/log';
import { ReserveStockManyResponseSchema, ReleaseStockResponseSchema, type ReserveStockRequest } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { OrderService } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { BatchGetProductsResponseSchema, ProductState } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { createDatabase } from '../../../test/support/servers.ts';
import { testKeys } from '../../../test/support/tokens.ts';
import { orderReactions } from './events.ts';
import { startOrder } from './main.ts';
import type { Neighbours } from './neighbours.ts';
import { createRecord } from './record.ts';

type Item = { amount?: bigint; currency?: string; archived?: boolean; available?: number; stocked?: boolean };
type Hold = { lines: Map<string, number>; holdUntil: Date };

/** A catalogue and a stock that behave as the contracts say. */
export function fakeNeighbours(items: Record<string, Item>) {
  const shop = new Map(Object.entries(items));
  const holds = new Map<string, Hold>();
  const calls = { products: 0, reserve: 0, reservations: 0, released: [] as string[] };
  const failing: { products?: Error; inventory?: Error } = {};
  const available = (sku: string) => (shop.get(sku)?.available ?? 1_000_000) - [...holds.values()].reduce((sum, hold) => sum + (hold.lines.get(sku) ?? 0), 0);

  const neighbours: Neighbours = {
    products: {
      batchGetProducts: async ({ skus = [] }) => {
        calls.products += 1;
        if (failing.products) throw failing.products;
        return create(BatchGetProductsResponseSchema, {
          products: skus.flatMap((sku) => {
            const item = shop.get(sku);
            const price = { currencyCode: item?.currency ?? 'EUR', minorUnits: item?.amount ?? 1_000n };
            return item ? [{ sku, name: `The ${sku}`, price, state: item.archived ? ProductState.ARCHIVED : ProductState.ACTIVE }] : [];
          }),
        });
      },
    },
    inventory: {
      reserveStockMany: async ({ requests = [] }) => {
        calls.reserve += 1;
        calls.reservations += requests.length;
        if (failing.inventory) throw failing.inventory;
        return create(ReserveStockManyResponseSchema, { results: requests.map((request) => ({ result: reserve(request as ReserveStockRequest) })) });
      },
      releaseStock: async ({ orderId = '' }) => {
        calls.released.push(orderId);
        holds.delete(orderId);
        return create(ReleaseStockResponseSchema, {});
      },
    },
  };

  function reserve({ orderId, lines, holdUntil }: ReserveStockRequest) {
    const refusal = (reason: string, metadata: Record<string, string>) => ({ case: 'refusal' as const, value: { reason, message: reason, metadata } });
    const wanted = new Map<string, number>();
    for (const { sku, quantity } of lines) wanted.set(sku, (wanted.get(sku) ?? 0) + quantity);
    if (!holds.has(orderId)) {
      for (const [sku, quantity] of wanted) {
        if (shop.get(sku)?.stocked === false) return refusal('UNKNOWN_SKU', { sku });
        if (available(sku) < quantity) return refusal('OUT_OF_STOCK', { sku, requested: `${quantity}`, available: `${available(sku)}` });
      }
      holds.set(orderId, { lines: wanted, holdUntil: holdUntil ? timestampDate(holdUntil) : new Date(0) });
    }
    return { case: 'reservation' as const, value: { orderId } };
  }

  return { neighbours, shop, holds, calls, failing };
}

export type World = Awaited<ReturnType<typeof startWorld>>;

/** `nats` may point nowhere: orders are taken without a broker. */
export async function startWorld(items: Record<string, Item>, env: Record<string, string> = {}) {
  const database = env.DATABASE_URL === undefined ? await createDatabase('order') : { url: env.DATABASE_URL, drop: async () => {} };
  const keys = await testKeys();
  const stop = new AbortController();
  const fakes = fakeNeighbours(items);
  const base = { PORT: '0', LOG_LEVEL: 'fatal', MILLRACE_JWKS: keys.jwks, DATABASE_URL: database.url, NATS_URL: 'nats://order:test@127.0.0.1:1', MILLRACE_TOKEN: await keys.token('order', 'service') };
  const running = await startOrder({ ...base, PRODUCT_URL: 'http://127.0.0.1:1', INVENTORY_URL: 'http://127.0.0.1:1', ...env }, stop.signal, fakes.neighbours);
  const db = openDatabase(database.url, createLog('test', 'fatal'), { max: 4 });
  const as = async (subject: string, role: 'admin' | 'buyer' | 'service' = 'buyer'): Promise<Client<typeof OrderService>> =>
    createServiceClient(OrderService, { url: running.url, token: await keys.token(subject, role) });
  const reactions = orderReactions(createRecord({ notify() {} }));

  const close = async (): Promise<void> => {
    await running.stop();
    await db.close();
    await database.drop();
  };
  return {
    ...fakes, db, as, running, keys, url: running.url,
    ada: await as('ada'), bob: await as('bob'), admin: await as('root', 'admin'), service: await as('shop', 'service'),
    /** Handles an event of another service as its consumer would, without a broker in between. */
    async hear<T extends Message>(schema: GenMessage<T>, ...bodies: MessageInitShape<GenMessage<T>>[]): Promise<void> {
      const events = bodies.map((body) => ({ id: randomUUID(), type: schema.typeName, time: new Date(), version: 1, body: create(schema, body) as Message }));
      const reaction = reactions.find((candidate) => candidate.schema.typeName === schema.typeName);
      if (reaction === undefined) throw new Error(`no reaction to ${schema.typeName}`);
      await db.transaction((tx) => reaction.handle(tx, events));
    },
    /** What the outbox holds about an order, in order: "placed 1", "confirmed 2". */
    async said(orderId: string): Promise<string[]> {
      const rows = await db.query<{ subject: string; aggregate_version: number }>(sql`SELECT subject, aggregate_version FROM outbox WHERE aggregate_id = ${orderId} ORDER BY position`);
      return rows.map((row) => `${row.subject.split('.')[1]} ${row.aggregate_version}`);
    },
    /** Lets unpaid orders have been due so long ago: `unpaid` as to the buyer's time to pay, else only as to their place among those that wait. */
    async makeDue(orderIds: string[], agoMs: number, unpaid = true): Promise<void> {
      await db.query(sql`
        WITH changed AS (
          UPDATE orders SET next_due_time = now() - ${agoMs} * interval '1 ms', payment_due_time = CASE WHEN ${unpaid} THEN now() - ${agoMs} * interval '1 ms' ELSE payment_due_time END
          WHERE order_id = ANY(${orderIds}) AND state = 'PENDING_PAYMENT' RETURNING order_id, next_due_time)
        UPDATE order_due d SET due_time = c.next_due_time FROM changed c WHERE d.order_id = c.order_id`);
    },
    /** Throws when the row of an order and its place among those that wait don't say the same. */
    async checkPlaces(): Promise<void> {
      const wrong = await db.query(sql`
        SELECT order_id, o.state, o.next_due_time, d.unpaid, d.due_time FROM (SELECT * FROM orders WHERE next_due_time IS NOT NULL) o FULL JOIN order_due d USING (order_id)
        WHERE (o.state = 'PENDING_PAYMENT', o.next_due_time) IS DISTINCT FROM (d.unpaid, d.due_time)`);
      if (wrong.length > 0) throw new Error(`these don't wait where their rows say: ${JSON.stringify(wrong)}`);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Reason and metadata of a refusal, as a caller sees it. */
export async function refusalOf(call: Promise<unknown>): Promise<{ reason: string; metadata: Record<string, string>; code: number }> {
  try {
    await call;
  } catch (error) {
    return { reason: 'none', metadata: {}, ...errorInfo(error), code: (error as { code: number }).code };
  }
  throw new Error('the call was not refused');
}

/** Waits for a condition, and fails with its name when it doesn't come true. */
export async function eventually<T>(name: string, look: () => Promise<T | undefined | false>, deadlineMs = 10_000): Promise<T> {
  for (const end = performance.now() + deadlineMs; performance.now() < end; await new Promise((resolve) => setTimeout(resolve, 10))) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
  }
  throw new Error(`${name} did not happen within ${deadlineMs} ms`);
}
