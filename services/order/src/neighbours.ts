// Product and inventory, as PlaceOrder uses them: the calls of one moment travel together.
import { setTimeout } from 'node:timers/promises';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { Client } from '@connectrpc/connect';
import { errorInfo, refuse, type Reason } from '@millrace/chassis/api/errors';
import { createBatcher } from '@millrace/chassis/flow/batcher';
import type { Log } from '@millrace/chassis/telemetry/log';
import type { InventoryService, ReserveStockResult } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { ProductState, type ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import type { Quantity } from './order.ts';
import { type Catalogue, createPrices } from './prices.ts';
import type { Product } from './pricing.ts';
import { amountOf } from './wire.ts';

export type Neighbours = {
  products: Pick<Client<typeof ProductService>, 'batchGetProducts'>;
  inventory: Pick<Client<typeof InventoryService>, 'reserveStockMany' | 'releaseStock'>;
};
export type Hold = { orderId: string; lines: Quantity[]; holdUntil: Date };

/** Callers that may wait; at a thousand orders a second that is about a second of them. */
const QUEUE_LIMIT = 2_000;
/** Inventory decides one batch at a time. A second one on its way would only be waiting there, and both be smaller than one. */
const HOLDS = { name: 'reserve', lanes: 1, max: 256, queueLimit: QUEUE_LIMIT };
const PRICES = { name: 'prices', lanes: 2, max: 256, queueLimit: QUEUE_LIMIT };
/** Product's own bound on one look-up. */
const MAX_SKUS = 500;
/** A product that exists and has no stock record yet: its event is on the way. Then it is late, and the caller is told to come back. */
const PAUSES_MS = [50, 150, 300, 500, 900];
const RETRY_AFTER_MS = 1_000;

export function createNeighbours({ products, inventory }: Neighbours, log: Log) {
  // Said once for all who shared the call: in an outage a line for each would be thousands a second.
  const away = (name: string, error: unknown, callers: readonly unknown[]): Error[] => {
    log.warn({ err: error, neighbour: name, callers: callers.length }, 'a neighbour did not answer');
    return callers.map(() => refuse('DEPENDENCY_UNAVAILABLE', `${name} is away; nothing is known to have happened`, {}, RETRY_AFTER_MS));
  };

  const catalogueOf = createBatcher<string[], Catalogue>(PRICES, async (baskets) => {
    const skus = [...new Set(baskets.flat())];
    const pages = Array.from({ length: Math.ceil(skus.length / MAX_SKUS) }, (_, i) => skus.slice(i * MAX_SKUS, (i + 1) * MAX_SKUS));
    try {
      const answers = await Promise.all(pages.map((page) => products.batchGetProducts({ skus: page })));
      const catalogue = new Map(answers.flatMap((answer) => answer.products).flatMap(({ sku, name, price, state }): [string, Product][] =>
        price ? [[sku, { sku, name, price: amountOf(price), archived: state === ProductState.ARCHIVED }]] : []));
      return baskets.map(() => catalogue);
    } catch (error) {
      return away('product', error, baskets);
    }
  });

  const reserveOnce = createBatcher<Hold, 'held'>(HOLDS, async (holds) => {
    try {
      const { results } = await inventory.reserveStockMany({
        requests: holds.map(({ orderId, lines, holdUntil }) => ({ orderId, lines, holdUntil: timestampFromDate(holdUntil) })),
      });
      return results.map(({ result }) => outcome(result));
    } catch (error) {
      // Refused as a whole: the batcher runs it again one by one, so that only the culprit fails.
      if (holds.length > 1 && errorInfo(error)?.reason === 'INVALID_FIELD') throw error;
      return away('inventory', error, holds);
    }
  });

  async function reserve(hold: Hold): Promise<void> {
    for (const pause of [...PAUSES_MS, undefined]) {
      try {
        await reserveOnce(hold);
        return;
      } catch (error) {
        if (errorInfo(error)?.reason !== 'UNKNOWN_SKU') throw error;
        if (pause !== undefined) await setTimeout(pause);
      }
    }
    throw refuse('DEPENDENCY_UNAVAILABLE', 'a product of this order has no stock record yet', {}, RETRY_AFTER_MS);
  }

  /** Gives a hold back that nobody needs. When that fails the hold ends by itself. */
  async function release(orderId: string): Promise<void> {
    await inventory.releaseStock({ orderId }).catch((error: unknown) => void away('inventory', error, [orderId]));
  }

  return { prices: createPrices(catalogueOf), reserve, release };
}

function outcome(result: ReserveStockResult['result']): 'held' | Error {
  switch (result.case) {
    case 'reservation':
      return 'held';
    case 'refusal':
      // The reason is one of the contract's; one that this version doesn't know becomes an internal error.
      return refuse(result.value.reason as Reason, result.value.message, result.value.metadata);
    case undefined:
      return new Error('inventory answered neither a reservation nor a refusal');
    default:
      return result satisfies never;
  }
}
