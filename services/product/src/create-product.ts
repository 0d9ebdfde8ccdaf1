import type { Tx } from '@millrace/chassis/database/db';
import { appendEvents } from '@millrace/chassis/events/outbox';
import { created, type Opening } from './events.ts';
import { newProduct, SkuExistsError, type Details, type Product } from './product.ts';
import * as store from './store.ts';

export async function createProduct(tx: Tx, sku: string, details: Details, opening: Opening): Promise<Product> {
  const product = newProduct(sku, details, await store.clock(tx));
  const added = await store.insert(tx, [product]);
  if (!added.has(sku)) throw new SkuExistsError(sku);
  await appendEvents(tx, [created(product, opening)]);
  return product;
}
