// What payment hears, and what it does about it.
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { type Heard, type Reaction, on } from '@millrace/chassis/events/inbox';
import { type OrderCancelled, OrderCancelledSchema, type OrderPlaced, OrderPlacedSchema, OrderRefundRequestedSchema } from '@millrace/gen/millrace/order/v1/events_pb.js';
import { closePayments, openPayments } from './open-payment.ts';
import type { Opening } from './payment.ts';
import { type AskedRefund, openRefunds } from './refund-payment.ts';

/** `wake`: there is work for the runner. */
export function paymentReactions(wake: () => void): Reaction[] {
  return [
    on(OrderPlacedSchema, (tx, heard) => openPayments(tx, heard.map(opening), wake)),
    on(OrderCancelledSchema, (tx, heard) => closePayments(tx, heard.map(opening), wake)),
    on(OrderRefundRequestedSchema, (tx, heard) => openRefunds(tx, heard.map(({ body }): AskedRefund => {
      const { orderId, refundId, amount, reason } = body;
      return { orderId, refundId, reason, amount: amount?.minorUnits ?? 0n, currency: amount?.currencyCode ?? '' };
    }), wake)),
  ];
}

function opening({ body, time }: Heard<OrderPlaced | OrderCancelled>): Opening {
  const { orderId, customer, total } = body;
  if (!total) throw new Error(`order ${orderId} has no total`);
  const [paymentMethod, due] = 'paymentMethod' in body ? [body.paymentMethod, body.paymentDueTime] : ['', undefined];
  if ('paymentMethod' in body && !due) throw new Error(`order ${orderId} has no time to be paid by`);
  return { orderId, customerId: customer?.customerId ?? '', amount: total.minorUnits, currency: total.currencyCode, paymentMethod, dueTime: due ? timestampDate(due) : time };
}
