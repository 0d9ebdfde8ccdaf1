// What other services say, and what order makes of it. Facts arrive in any order; order.ts makes them end the same.
import type { Message } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import { on, type Heard, type Reaction } from '@millrace/chassis/events/consumer';
import { eventKind } from '@millrace/chassis/events/contracts';
import { StockCommittedSchema, StockReleasedSchema, StockShortfallSchema } from '@millrace/gen/millrace/inventory/v1/events_pb.js';
import { ReleaseReason } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { NotificationBouncedSchema, NotificationFailedSchema, NotificationSentSchema } from '@millrace/gen/millrace/notification/v1/events_pb.js';
import { NotificationChannel, NotificationKind } from '@millrace/gen/millrace/notification/v1/notification_pb.js';
import {
  PaymentActionRequiredSchema, PaymentCancelledSchema, PaymentDisputedSchema, PaymentFailedSchema, PaymentRefundedSchema, PaymentSucceededSchema, type PaymentSnapshot,
} from '@millrace/gen/millrace/payment/v1/events_pb.js';
import { PaymentState } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import type { Money } from '@millrace/gen/millrace/type/v1/money_pb.js';
import { hearFacts, noteEvents } from './hear-facts.ts';
import type { Fact, Payment } from './order.ts';
import type { Recorder } from './record.ts';
import type { TimelineEntry } from './store.ts';
import { inWords } from './wire.ts';

export function orderReactions(record: Recorder): Reaction[] {
  // Money: each event brings the whole payment, so only the newest counts.
  const payment = <T extends PaymentEvent>(schema: GenMessage<T>, summary: (body: T) => string, more: (body: T) => Detail = () => ({})) =>
    on(schema, (tx, events) =>
      hearFacts(tx, record, events.map((event) => ({
        fact: paymentFact(event.body),
        currency: currencyOf(event.body),
        entry: entryOf(schema, 'payment', event, event.body.orderId, summary(event.body), { ...paymentDetail(event.body), ...more(event.body) }),
      }))));
  const stock = <T extends StockEvent>(schema: GenMessage<T>, fact: Fact, summary: string) =>
    on(schema, (tx, events) =>
      hearFacts(tx, record, events.map((event) => ({ fact, entry: entryOf(schema, 'inventory', event, event.body.orderId, summary, stockDetail(event.body)) }))));
  // Nothing in the order changes: only the timeline tells it, and no row is locked.
  const note = <T extends Message & { orderId: string }>(schema: GenMessage<T>, source: string, summary: (body: T) => string, detail: (body: T) => Detail) =>
    on(schema, (tx, events) => noteEvents(tx, events.map((event) => entryOf(schema, source, event, event.body.orderId, summary(event.body), detail(event.body)))));

  return [
    payment(PaymentSucceededSchema, ({ payment }) => `Paid: ${said(payment?.captured)}`),
    payment(PaymentFailedSchema, ({ payment }) => `Payment failed: ${payment?.failureMessage || payment?.failureCode || 'no reason given'}`),
    payment(PaymentActionRequiredSchema, () => 'The buyer has to confirm the payment with their bank'),
    payment(PaymentCancelledSchema, () => 'The payment was cancelled: nothing will be captured'),
    payment(PaymentRefundedSchema, ({ refundAmount }) => (refundAmount?.minorUnits ? `Given back: ${said(refundAmount)}` : 'A refund was refused by the provider'),
      ({ refundId, refundAmount }) => ({ refund_id: refundId, refund_amount: `${refundAmount?.minorUnits ?? 0}` })),
    payment(PaymentDisputedSchema, ({ closed, reason }) => (closed ? 'The dispute is closed' : `The buyer's bank disputes it: ${reason}`),
      ({ providerDisputeId, reason, closed }) => ({ provider_dispute_id: providerDisputeId, reason, closed: `${closed}` })),
    stock(StockCommittedSchema, { kind: 'stock_committed' }, 'Its stock is sold'),
    stock(StockShortfallSchema, { kind: 'shortfall' }, 'Paid after its hold had ended, and the stock was gone'),
    note(StockReleasedSchema, 'inventory', ({ restocked }) => (restocked ? 'Its stock was put back' : 'Its hold on the stock ended'),
      (body) => ({ ...stockDetail(body), reason: ReleaseReason[body.reason] ?? '', restocked: `${body.restocked}` })),
    note(NotificationSentSchema, 'notification', (body) => `Sent: ${messageOf(body)}`, (body) => ({ ...messageDetail(body), provider_message_id: body.providerMessageId })),
    note(NotificationFailedSchema, 'notification', (body) => `Could not be sent: ${messageOf(body)}`, (body) => ({ ...messageDetail(body), error: body.error })),
    note(NotificationBouncedSchema, 'notification', (body) => `Came back: ${messageOf(body)}`, (body) => ({ ...messageDetail(body), bounce_type: body.bounceType })),
  ];
}

/** ISO 4217's own code for it. */
const NO_CURRENCY = 'XXX';

type Detail = Record<string, string>;
type PaymentEvent = Message & { orderId: string; version: number; payment?: PaymentSnapshot; refundId?: string; refundAmount?: Money };
type StockEvent = Message & { orderId: string; lines: { sku: string; quantity: number }[] };
type MessageEvent = { notificationId: string; kind: NotificationKind; channel: NotificationChannel };

function paymentFact({ version, payment, refundId, refundAmount }: PaymentEvent): Fact {
  if (payment === undefined) throw new Error('a payment event without its payment');
  const known = PaymentState[payment.state];
  // Not guessed: as a dead letter it can be replayed when this service knows the state too.
  if (known === undefined || known === 'UNSPECIFIED') throw new Error(`payment state ${payment.state} is newer than this service`);
  const amount = (value: Money | undefined) => value?.minorUnits ?? 0n;
  const { disputed } = payment;
  return {
    kind: 'payment',
    refund: refundId ? { refundId, given: amount(refundAmount) > 0n } : undefined,
    payment: { version, state: known as Payment['state'], captured: amount(payment.captured), refunded: amount(payment.refunded), refundPending: amount(payment.refundPending), disputed },
  };
}

function currencyOf({ payment }: PaymentEvent): string | undefined {
  return (payment?.captured ?? payment?.amount)?.currencyCode || undefined;
}

function paymentDetail({ version, payment }: PaymentEvent): Detail {
  if (payment === undefined) return {};
  return filled({
    payment_id: payment.paymentId, payment_state: PaymentState[payment.state], payment_version: `${version}`, provider_payment_id: payment.providerPaymentId,
    captured: `${payment.captured?.minorUnits ?? 0}`, refunded: `${payment.refunded?.minorUnits ?? 0}`, currency: payment.amount?.currencyCode,
    attempts: `${payment.attempts}`, failure_code: payment.failureCode, failure_message: payment.failureMessage,
  });
}

function stockDetail({ lines }: StockEvent): Detail {
  return { lines: lines.map((line) => `${line.quantity} × ${line.sku}`).join(', ') };
}

function messageDetail({ notificationId, kind, channel }: MessageEvent): Detail {
  return { notification_id: notificationId, kind: NotificationKind[kind] ?? '', channel: NotificationChannel[channel] ?? '' };
}

function messageOf({ kind, channel }: MessageEvent): string {
  const words = (NotificationKind[kind] ?? 'message').toLowerCase().replaceAll('_', ' ');
  return `${words} by ${NotificationChannel[channel] === 'SMS' ? 'text message' : 'mail'}`;
}

function entryOf(schema: GenMessage<Message>, source: string, event: Heard<Message>, orderId: string, summary: string, detail: Detail): TimelineEntry {
  return { orderId, time: event.time, source, kind: eventKind(schema).subject, summary, eventId: event.id, actor: source, detail };
}

function said(value: Money | undefined): string {
  return inWords(value?.minorUnits ?? 0n, value?.currencyCode || NO_CURRENCY);
}

function filled(detail: Record<string, string | undefined>): Detail {
  return Object.fromEntries(Object.entries(detail).flatMap(([key, value]) => (value ? [[key, value]] : [])));
}
