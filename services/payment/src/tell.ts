// What payment tells the other services: a told fact becomes the contract's event, with the payment as it stood at that version.
import { event, type OutgoingEvent } from '@millrace/chassis/events/outbox';
import {
  PaymentActionRequiredSchema, PaymentCancelledSchema, PaymentDisputedSchema, PaymentFailedSchema, PaymentRefundedSchema, PaymentSucceededSchema,
} from '@millrace/gen/millrace/payment/v1/events_pb.js';
import { PaymentState } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import type { Told } from './apply.ts';
import type { Payment } from './payment.ts';

export function outgoing({ kind, payment, refund }: Told): OutgoingEvent {
  const said = { orderId: payment.orderId, version: payment.version, payment: snapshot(payment) };
  switch (kind) {
    case 'succeeded': return event(PaymentSucceededSchema, said);
    case 'failed': return event(PaymentFailedSchema, said);
    case 'action_required': return event(PaymentActionRequiredSchema, { ...said, actionUrl: payment.actionUrl });
    case 'cancelled': return event(PaymentCancelledSchema, said);
    case 'refunded': return event(PaymentRefundedSchema, { ...said, refundId: refund?.id ?? '', refundAmount: money(refund?.amount ?? 0n, payment.currency) });
    case 'disputed': return event(PaymentDisputedSchema, { ...said, providerDisputeId: payment.disputeId, reason: payment.disputeReason, closed: !payment.disputed });
  }
  return kind satisfies never;
}

export const money = (minorUnits: bigint, currencyCode: string) => ({ minorUnits, currencyCode });

/** Without the client secret: it is for whoever may pay, and for nobody who reads events. */
function snapshot(payment: Payment) {
  const { paymentId, amount, captured, refunded, refundPending, currency, state, providerPaymentId, failureCode, failureMessage, attempts, disputed } = payment;
  return {
    paymentId, providerPaymentId, failureCode, failureMessage, attempts, disputed,
    state: PaymentState[state],
    amount: money(amount, currency), captured: money(captured, currency), refunded: money(refunded, currency), refundPending: money(refundPending, currency),
  };
}
