// What order itself says: for every step of an order its event and its line in the timeline.
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { event, type OutgoingEvent } from '@millrace/chassis/events/outbox';
import { hideCards } from '@millrace/chassis/telemetry/scrub';
import {
  OrderCancelledSchema, OrderConfirmedSchema, OrderFulfilledSchema, OrderPlacedSchema, OrderRefundRequestedSchema,
} from '@millrace/gen/millrace/order/v1/events_pb.js';
import { CancelCause } from '@millrace/gen/millrace/order/v1/order_pb.js';
import type { Order, Quantity, Refund } from './order.ts';
import type { Announcement } from './store.ts';
import { customerToProto, inWords, linesToProto, money } from './wire.ts';

export function placed(order: Order, actor: string): Announcement {
  const said = event(OrderPlacedSchema, {
    ...about(order), lines: linesToProto(order), total: money(order.total, order.currency), paymentMethod: order.paymentMethod, paymentDueTime: timestampFromDate(order.paymentDueTime),
  });
  const detail = { lines: `${order.lines.length}`, total: `${order.total}`, currency: order.currency, ...(order.paymentMethod && { payment_method: order.paymentMethod }) };
  return announcement(order, said, 'orders.placed', `Placed for ${inWords(order.total, order.currency)}; its stock is held`, actor, detail);
}

/** The event that follows from a change of state; none when the state stayed. */
export function moved(before: Order, after: Order, actor: string): Announcement[] {
  if (before.state === after.state) return [];
  const total = money(after.total, after.currency);
  switch (after.state) {
    case 'CONFIRMED':
      return [announcement(after, event(OrderConfirmedSchema, { ...about(after), total }), 'orders.confirmed', 'Confirmed: it is paid', actor)];
    case 'CANCELLED': {
      const said = event(OrderCancelledSchema, { ...about(after), total, cause: CancelCause[after.cancelCause || 'UNSPECIFIED'], reason: hideCards(after.cancelReason) });
      return [announcement(after, said, 'orders.cancelled', `Cancelled: ${after.cancelReason}`, actor, { cause: after.cancelCause })];
    }
    case 'FULFILLED': {
      const { carrier, trackingNumber } = after;
      const said = event(OrderFulfilledSchema, { ...about(after), carrier: hideCards(carrier), trackingNumber });
      return [announcement(after, said, 'orders.fulfilled', carrier ? `Shipped with ${carrier}` : 'Shipped', actor, { carrier, tracking_number: trackingNumber })];
    }
    case 'PENDING_PAYMENT':
      throw new Error('nothing leads back to PENDING_PAYMENT');
    default:
      return after.state satisfies never;
  }
}

export function refundRequested(order: Order, refund: Refund, restock: Quantity[], reason: string, actor: string): Announcement {
  const said = event(OrderRefundRequestedSchema, {
    orderId: order.orderId, version: order.version, refundId: refund.refundId, amount: money(refund.amount, order.currency), reason: hideCards(reason), restockLines: restock, actor,
  });
  const detail = { refund_id: refund.refundId, amount: `${refund.amount}`, currency: order.currency, reason, restocked: restock.map((line) => `${line.quantity} × ${line.sku}`).join(', ') };
  return announcement(order, said, 'orders.refund_requested', `Refund of ${inWords(refund.amount, order.currency)} asked for`, actor, detail);
}

// Events are kept for weeks: what people type into a name or a reason must not bring card numbers along.
function about({ orderId, version, customer }: Order) {
  return { orderId, version, customer: { ...customerToProto(customer), name: hideCards(customer.name) } };
}

function announcement(order: Order, said: OutgoingEvent, kind: string, summary: string, actor: string, detail: Record<string, string> = {}): Announcement {
  const states = { state: order.state, payment_state: order.paymentState, version: `${order.version}` };
  return { event: said, entry: { orderId: order.orderId, time: order.updateTime, source: 'order', kind, summary, eventId: said.eventId, actor, detail: { ...detail, ...states } } };
}
