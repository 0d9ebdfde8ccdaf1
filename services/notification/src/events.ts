// What this service hears, and the news that each event is.

import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import { on, type Reaction } from '@millrace/chassis/events/consumer';
import { BackInStockSchema, StockLowSchema, StockShortfallSchema } from '@millrace/gen/millrace/inventory/v1/events_pb.js';
import { type OrderPlaced, OrderCancelledSchema, OrderConfirmedSchema, OrderFulfilledSchema, OrderPlacedSchema } from '@millrace/gen/millrace/order/v1/events_pb.js';
import { CancelCause, type Customer } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { PaymentActionRequiredSchema, PaymentDisputedSchema, PaymentFailedSchema, PaymentRefundedSchema, PaymentSucceededSchema } from '@millrace/gen/millrace/payment/v1/events_pb.js';
import type { Money } from '@millrace/gen/millrace/type/v1/money_pb.js';
import type { Details, News } from './notification.ts';
import type { QueueMessages } from './queue-messages.ts';
import type { Contact } from './store.ts';
import type { OrderView } from './templates/render.ts';

export function notificationReactions(queue: QueueMessages): Reaction[] {
  return [
    on(OrderPlacedSchema, (tx, heard) =>
      queue(tx, {
        contacts: heard.map(({ body }) => contactOf(body, orderView(body))),
        news: heard.map(({ body }) => news('order_confirmation', body, body.paymentMethod === '' ? { payBefore: timeOf(body.paymentDueTime) } : {})),
      }),
    ),
    // Says nothing by itself: the payment's confirmation has told the buyer.
    on(OrderConfirmedSchema, (tx, heard) => queue(tx, { contacts: heard.map(({ body }) => contactOf(body)) })),
    on(OrderCancelledSchema, (tx, heard) =>
      queue(tx, {
        contacts: heard.map(({ body }) => contactOf(body)),
        news: heard.map(({ body }) => news('order_cancelled', body, { ...moneyOf(body.total), cause: CAUSES[body.cause] ?? 'operator', reason: body.reason })),
      }),
    ),
    on(OrderFulfilledSchema, (tx, heard) =>
      queue(tx, {
        contacts: heard.map(({ body }) => contactOf(body)),
        news: heard.map(({ body }) => news('order_fulfilled', body, { carrier: body.carrier, trackingNumber: body.trackingNumber })),
      }),
    ),
    on(PaymentSucceededSchema, (tx, heard) => queue(tx, { news: heard.map(({ body }) => news('payment_confirmation', body, moneyOf(body.payment?.captured))) })),
    on(PaymentFailedSchema, (tx, heard) =>
      queue(tx, { news: heard.map(({ body }) => news('payment_failed', body, { ...moneyOf(body.payment?.amount), failure: body.payment?.failureMessage ?? '' })) }),
    ),
    on(PaymentActionRequiredSchema, (tx, heard) =>
      queue(tx, { news: heard.map(({ body }) => news('payment_action_required', body, { ...moneyOf(body.payment?.amount), actionUrl: body.actionUrl })) }),
    ),
    // Without an amount it is a refund that the provider refused: no news for the buyer.
    on(PaymentRefundedSchema, (tx, heard) =>
      queue(tx, { news: heard.filter(({ body }) => (body.refundAmount?.minorUnits ?? 0n) > 0n).map(({ body }) => news('refund', body, moneyOf(body.refundAmount))) }),
    ),
    // Somebody has to answer a dispute; that one is closed needs nobody.
    on(PaymentDisputedSchema, (tx, heard) =>
      queue(tx, {
        news: heard
          .filter(({ body }) => !body.closed)
          .map(({ body }) => alert(body, `dispute:${body.providerDisputeId}`, { ...moneyOf(body.payment?.amount), topic: 'dispute', reason: body.reason })),
      }),
    ),
    on(StockShortfallSchema, (tx, heard) => queue(tx, { news: heard.map(({ body }) => alert(body, 'shortfall', { topic: 'shortfall' })) })),
    on(StockLowSchema, (tx, heard) =>
      queue(tx, {
        news: heard.map(({ body: { sku, name, version, available, lowStockThreshold } }) => ({
          kind: 'low_stock',
          orderId: '',
          about: `low_stock:${sku}:${version}`,
          details: { sku, name, available: String(available), threshold: String(lowStockThreshold) },
        })),
      }),
    ),
    // Nobody is told: the next low_stock is a new alert by its version.
    on(BackInStockSchema, async () => {}),
  ];
}

const CAUSES: Partial<Record<CancelCause, string>> = {
  [CancelCause.BUYER]: 'buyer',
  [CancelCause.OPERATOR]: 'operator',
  [CancelCause.EXPIRED]: 'expired',
  [CancelCause.OUT_OF_STOCK]: 'out_of_stock',
};

function news(kind: News['kind'], { orderId }: { orderId: string }, details: Details): News {
  return { kind, orderId, details };
}

function alert({ orderId }: { orderId: string }, topic: string, details: Details): News {
  return { kind: 'operator_alert', orderId, about: `${orderId}:operator_alert:${topic}`, details };
}

function contactOf({ orderId, customer }: { orderId: string; customer?: Customer | undefined }, order?: OrderView): Contact {
  const { customerId = '', name = '', email = '', phone = '' } = customer ?? {};
  return { orderId, customerId, name, email, phone, ...(order ? { order } : {}) };
}

function orderView({ lines, total }: OrderPlaced): OrderView {
  const minor = (money: Money | undefined) => String(money?.minorUnits ?? 0n);
  return {
    currency: total?.currencyCode ?? '',
    total: minor(total),
    lines: lines.map((line) => ({ sku: line.sku, name: line.name, quantity: line.quantity, unitPrice: minor(line.unitPrice), lineTotal: minor(line.lineTotal) })),
  };
}

function moneyOf(money: Money | undefined): Details {
  return money ? { amount: String(money.minorUnits), currency: money.currencyCode } : {};
}

function timeOf(time: Timestamp | undefined): string {
  return time ? timestampDate(time).toISOString() : '';
}
