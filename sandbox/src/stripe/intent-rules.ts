// The life of a PaymentIntent (docs.stripe.com/payments/paymentintents/lifecycle): which step is allowed in which status.
import type { Intent, IntentStatus } from '../store/records.ts';
import { type ErrorFields, withDocs } from './errors.ts';

export type Step = 'confirm' | 'cancel' | 'capture' | 'update' | 'authenticate';

const ALLOWED: Record<Step, readonly IntentStatus[]> = {
  confirm: ['requires_payment_method', 'requires_confirmation', 'requires_action'],
  cancel: ['requires_payment_method', 'requires_capture', 'requires_confirmation', 'requires_action'],
  capture: ['requires_capture'],
  update: ['requires_payment_method', 'requires_confirmation', 'requires_action'],
  authenticate: ['requires_action'],
};

/** Stripe's error for a step that the status does not allow. */
export function unexpectedState(intent: Intent, step: Step): ErrorFields | undefined {
  if (ALLOWED[step].includes(intent.status)) return undefined;
  return stateError(sentence(intent, step));
}

export const stateError = (message: string): ErrorFields =>
  withDocs({ type: 'invalid_request_error', code: 'payment_intent_unexpected_state', message });

function sentence({ status }: Intent, step: Step): string {
  const allowed = ALLOWED[step].join(', ');
  switch (step) {
    case 'confirm':
      if (status === 'succeeded') return 'You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.';
      return `You cannot confirm this PaymentIntent because it has a status of ${status}. Only a PaymentIntent with one of the following statuses may be confirmed: ${allowed}.`;
    case 'cancel':
      return `You cannot cancel this PaymentIntent because it has a status of ${status}. Only a PaymentIntent with one of the following statuses may be canceled: ${allowed}.`;
    case 'capture':
      return `This PaymentIntent could not be captured because it has a status of ${status}. Only a PaymentIntent with one of the following statuses may be captured: ${allowed}.`;
    case 'update':
      return `This PaymentIntent could not be updated because it has a status of ${status}. You may only update these parameters of a PaymentIntent with one of the following statuses: ${allowed}.`;
    case 'authenticate':
      return `This PaymentIntent does not wait for the customer; it has a status of ${status}.`;
    default:
      return step satisfies never;
  }
}
