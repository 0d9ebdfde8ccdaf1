import type { Tx } from '@millrace/chassis/database/db';
import { appendEvents } from '@millrace/chassis/events/outbox';
import { archived } from './events.ts';
import { archiveProduct as archive, ProductNotFoundError, type Product } from './product.ts';
import * as store from './store.ts';

export async function archiveProduct(tx: Tx, sku: string): Promise<Product> {
  const current = (await store.lock(tx, [sku])).get(sku);
  if (current === undefined) throw new ProductNotFoundError(sku);
  const product = archive(current, await store.clock(tx));
  if (product !== current) {
    await store.update(tx, [product]);
    await appendEvents(tx, [archived(product)]);
  }
  return product;
}
