// Compact records → the objects of Stripe's API. Pure, so that an event or a remembered answer from an old line of the
// journal reads today as it read then.
import type { CardError, Charge, Dispute, EventRecord, Intent, Line, Refund, Subject } from '../store/records.ts';
import { type ErrorFields, withDocs } from './errors.ts';
import { TEST_METHODS } from './test-methods.ts';

export const API_VERSION = '2026-10-28.endive';

export interface RenderContext {
  /** Where this sandbox is reached, for the page that stands in for the bank's. */
  url: string;
  charge(id: string): Charge | undefined;
  intent(id: string): Intent | undefined;
}

export type Rendered = Record<string, unknown>;

export function renderIntent(intent: Intent, context: RenderContext): Rendered {
  const waiting = intent.status === 'requires_action';
  return {
    id: intent.id,
    object: 'payment_intent',
    amount: intent.amount,
    amount_capturable: intent.status === 'requires_capture' ? intent.amount : 0,
    amount_details: { tip: {} },
    amount_received: intent.received,
    application: null,
    application_fee_amount: null,
    automatic_payment_methods: intent.redirects === null ? null : { allow_redirects: intent.redirects, enabled: true },
    canceled_at: intent.canceledAt ?? null,
    cancellation_reason: intent.cancelReason ?? null,
    capture_method: intent.capture,
    client_secret: intent.secret,
    confirmation_method: 'automatic',
    created: intent.created,
    currency: intent.currency,
    customer: null,
    description: intent.description ?? null,
    last_payment_error: intent.error ? renderCardError(intent.error) : null,
    latest_charge: intent.charges.at(-1) ?? null,
    livemode: false,
    metadata: intent.metadata,
    next_action: waiting ? nextAction(intent, context) : null,
    on_behalf_of: null,
    payment_method: intent.method ?? null,
    payment_method_configuration_details: null,
    payment_method_options: { card: { installments: null, mandate_options: null, network: null, request_three_d_secure: 'automatic' } },
    payment_method_types: intent.types,
    processing: null,
    receipt_email: intent.receiptEmail ?? null,
    review: null,
    setup_future_usage: null,
    shipping: intent.shipping ?? null,
    source: null,
    statement_descriptor: null,
    statement_descriptor_suffix: null,
    status: intent.status,
    transfer_data: null,
    transfer_group: null,
  };
}

export function renderCardError(error: CardError): ErrorFields {
  const { method, testMethod, ...fields } = error;
  const type = error.code === 'payment_intent_authentication_failure' ? 'invalid_request_error' : 'card_error';
  return withDocs({ ...fields, payment_method: renderMethod(method, testMethod), type });
}

export function authenticationUrl(intent: Intent, url: string): string {
  return `${url}/stripe/authenticate/${intent.id}?client_secret=${intent.secret}`;
}

function nextAction(intent: Intent, context: RenderContext): Rendered {
  return {
    type: 'redirect_to_url',
    redirect_to_url: { return_url: intent.returnUrl ?? null, url: authenticationUrl(intent, context.url) },
  };
}

export function renderMethod(id: string | undefined, testMethod: string | undefined): Rendered | null {
  const method = TEST_METHODS.get(testMethod ?? '');
  if (!id || !method) return null;
  const address = { city: null, country: null, line1: null, line2: null, postal_code: null, state: null };
  const details = method.kind === 'card' ? renderCard(method.brand, method.last4) : { bank_name: 'STRIPE TEST BANK', last4: method.last4 };
  return {
    id,
    object: 'payment_method',
    billing_details: { address, email: null, name: null, phone: null },
    [method.kind]: details,
    created: 0,
    customer: null,
    livemode: false,
    metadata: {},
    type: method.kind,
  };
}

const renderCard = (brand: string, last4: string): Rendered => ({ brand, country: 'US', exp_month: 12, exp_year: 2040, funding: 'credit', last4 });

export function renderCharge(charge: Charge): Rendered {
  const method = TEST_METHODS.get(charge.testMethod);
  const paid = charge.status === 'succeeded';
  return {
    id: charge.id,
    object: 'charge',
    amount: charge.amount,
    amount_captured: charge.captured,
    amount_refunded: charge.refunded,
    balance_transaction: paid ? `txn_${charge.id.slice(3)}` : null,
    captured: charge.captured > 0,
    created: charge.created,
    currency: charge.currency,
    customer: null,
    disputed: charge.disputed,
    failure_code: charge.failure?.code ?? null,
    failure_message: charge.failure?.message ?? null,
    livemode: false,
    metadata: charge.metadata,
    outcome: outcome(charge.failure),
    paid,
    payment_intent: charge.intent,
    payment_method: charge.method,
    payment_method_details: method && { type: method.kind, [method.kind]: method.kind === 'card' ? renderCard(method.brand, method.last4) : { last4: method.last4 } },
    receipt_email: null,
    receipt_url: null,
    refunded: paid && charge.captured > 0 && charge.refunded >= charge.captured,
    status: charge.status,
  };
}

function outcome(failure: CardError | undefined): Rendered {
  if (!failure) return { network_status: 'approved_by_network', reason: null, risk_level: 'normal', seller_message: 'Payment complete.', type: 'authorized' };
  return { network_status: 'declined_by_network', reason: failure.decline_code ?? failure.code, risk_level: 'normal', seller_message: 'The bank did not return any further details with this decline.', type: 'issuer_declined' };
}

export function renderRefund(refund: Refund): Rendered {
  return {
    id: refund.id,
    object: 'refund',
    amount: refund.amount,
    balance_transaction: refund.status === 'succeeded' ? `txn_${refund.id.slice(3)}` : null,
    charge: refund.charge,
    created: refund.created,
    currency: refund.currency,
    destination_details: { card: { reference_status: 'pending', reference_type: 'acquirer_reference_number', type: 'refund' }, type: 'card' },
    ...(refund.status === 'failed' && { failure_reason: 'expired_or_canceled_card' }),
    metadata: refund.metadata,
    payment_intent: refund.intent,
    reason: refund.reason,
    receipt_number: null,
    source_transfer_reversal: null,
    status: refund.status,
    transfer_reversal: null,
  };
}

export function renderDispute(dispute: Dispute): Rendered {
  return {
    id: dispute.id,
    object: 'dispute',
    amount: dispute.amount,
    balance_transactions: [],
    charge: dispute.charge,
    created: dispute.created,
    currency: dispute.currency,
    enhanced_eligibility_types: [],
    evidence: {},
    evidence_details: { due_by: dispute.created + 9 * 86_400, has_evidence: dispute.status !== 'needs_response', past_due: false, submission_count: 0 },
    is_charge_refundable: false,
    livemode: false,
    metadata: {},
    payment_intent: dispute.intent,
    reason: dispute.reason,
    status: dispute.status,
  };
}

export function renderSubject(line: Line, on: Subject, context: RenderContext): Rendered {
  if (on === 'intent' && line.intent) return renderIntent(line.intent, context);
  if (on === 'charge' && line.charge) return renderCharge(line.charge);
  if (on === 'refund' && line.refund) return renderRefund(line.refund);
  if (on === 'dispute' && line.dispute) return renderDispute(line.dispute);
  throw new Error(`the journal line has no ${on}`);
}

export function renderEvent(line: Line, event: EventRecord, pending: number, context: RenderContext): Rendered {
  const told = event.type === 'payment_intent.created' && line.intent ? { ...line, intent: asCreated(line.intent) } : line;
  return {
    id: event.id,
    object: 'event',
    api_version: API_VERSION,
    created: Math.floor(line.at / 1000),
    data: { object: renderSubject(told, event.on, context) },
    livemode: false,
    pending_webhooks: pending,
    request: { id: event.request, idempotency_key: line.key?.key ?? null },
    type: event.type,
  };
}

/** An intent that was created and confirmed by one request, as it was between the two. */
function asCreated(intent: Intent): Intent {
  const status = intent.testMethod ? 'requires_confirmation' : 'requires_payment_method';
  return { ...intent, status, received: 0, charges: [], error: undefined, canceledAt: undefined };
}
