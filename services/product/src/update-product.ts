import type { Tx } from '@millrace/chassis/database/db';
import { appendEvents } from '@millrace/chassis/events/outbox';
import { updated } from './events.ts';
import { changeProduct, ProductNotFoundError, type Details, type Product } from './product.ts';
import * as store from './store.ts';

export async function updateProduct(tx: Tx, sku: string, changes: Partial<Details>, revision: number): Promise<Product> {
  const current = (await store.lock(tx, [sku])).get(sku);
  if (current === undefined) throw new ProductNotFoundError(sku);
  const change = changeProduct(current, changes, revision, await store.clock(tx));
  if (change.changedFields.length > 0) {
    await store.update(tx, [change.product]);
    await appendEvents(tx, [updated(change)]);
  }
  return change.product;
}
