// What inventory hears, and what it does about it: facts of one type, many in one transaction.
import type { Tx } from '@millrace/chassis/database/db';
import { on, type Heard, type Reaction } from '@millrace/chassis/events/inbox';
import { OrderCancelledSchema, OrderRefundRequestedSchema } from '@millrace/gen/millrace/order/v1/events_pb.js';
import { PaymentSucceededSchema } from '@millrace/gen/millrace/payment/v1/events_pb.js';
import { ProductArchivedSchema, ProductCreatedSchema, ProductUpdatedSchema } from '@millrace/gen/millrace/product/v1/events_pb.js';
import type { Books } from './books.ts';
import { scopeOf, type Change } from './change.ts';
import * as facts from './facts.ts';
import { makeRecords } from './store.ts';

const ACTOR = 'inventory';

export function inventoryReactions(change: Change): Reaction[] {
  /** Facts about products: their records are made first, so that there is something to lock. */
  const ofProducts = <T extends { sku: string }>(apply: (books: Books, fact: T) => void) => async (tx: Tx, events: Heard<T>[]) => {
    const skus = events.map(({ body }) => body.sku);
    await makeRecords(tx, skus);
    await change(tx, { skus }, (books) => events.forEach(({ body }) => apply(books, body)));
  };
  const ofOrders = <T extends { orderId: string }>(apply: (books: Books, fact: T) => void) => async (tx: Tx, events: Heard<T>[]) => {
    const scope = await scopeOf(tx, events.map(({ body }) => body.orderId));
    await change(tx, scope, (books) => events.forEach(({ body }) => apply(books, body)));
  };
  const because = (reason: string) => ({ reason, actor: ACTOR });

  return [
    on(ProductCreatedSchema, ofProducts((books, product) => facts.productCreated(books, product, because('')))),
    on(ProductUpdatedSchema, ofProducts(facts.productUpdated)),
    on(ProductArchivedSchema, ofProducts(facts.productArchived)),
    on(PaymentSucceededSchema, ofOrders((books, { orderId }) => facts.orderPaid(books, orderId, because('')))),
    on(OrderCancelledSchema, ofOrders((books, { orderId, reason }) => facts.orderCancelled(books, orderId, because(reason)))),
    on(OrderRefundRequestedSchema, ofOrders((books, refund) => facts.refundRequested(books, refund, because(refund.reason)))),
  ];
}
