// What product says. It hears nothing.
import { event, type OutgoingEvent } from '@millrace/chassis/events/outbox';
import { ProductArchivedSchema, ProductCreatedSchema, ProductUpdatedSchema } from '@millrace/gen/millrace/product/v1/events_pb.js';
import type { Change, Product } from './product.ts';

/** What the stock record opens with. */
export type Opening = { initialStock: number; lowStockThreshold: number };

export function created({ sku, revision, name, price }: Product, { initialStock, lowStockThreshold }: Opening): OutgoingEvent {
  return event(ProductCreatedSchema, { sku, version: revision, name, price, initialStock, lowStockThreshold });
}

export function updated({ product: { sku, revision, name, price }, changedFields }: Change): OutgoingEvent {
  return event(ProductUpdatedSchema, { sku, version: revision, name, price, changedFields });
}

export function archived({ sku, revision }: Product): OutgoingEvent {
  return event(ProductArchivedSchema, { sku, version: revision });
}
