// What the journal holds: compact records, written whole at every change. A line is one change and is atomic:
// an intent, its charge, its events, its ledger rows and the remembered answer of its idempotency key stand or fall together.
import type { BodyPlace } from './bodies.ts';

export type Metadata = Record<string, string>;

export type IntentStatus =
  | 'requires_payment_method'
  | 'requires_confirmation'
  | 'requires_action'
  | 'processing'
  | 'requires_capture'
  | 'succeeded'
  | 'canceled';

export interface Intent {
  id: string;
  secret: string;
  created: number; // seconds, as in Stripe's API
  amount: number;
  currency: string;
  status: IntentStatus;
  metadata: Metadata;
  capture: 'automatic' | 'automatic_async' | 'manual';
  types: string[];
  redirects: 'always' | 'never' | null; // automatic_payment_methods[allow_redirects]; null = only the listed types
  testMethod?: string; // e.g. pm_card_visa
  method?: string; // the payment method that Stripe makes of it
  received: number;
  charges: string[];
  error?: CardError;
  returnUrl?: string;
  description?: string;
  receiptEmail?: string;
  shipping?: unknown;
  canceledAt?: number;
  cancelReason?: string;
  settleAt?: number; // milliseconds; only while processing
}

export interface CardError {
  code: string;
  message: string;
  decline_code?: string;
  charge?: string;
  method?: string;
  testMethod?: string;
}

export interface Charge {
  id: string;
  intent: string;
  created: number;
  amount: number;
  currency: string;
  status: 'succeeded' | 'failed';
  captured: number;
  refunded: number;
  disputed: boolean;
  metadata: Metadata;
  testMethod: string;
  method: string;
  failure?: CardError;
}

export interface Refund {
  id: string;
  intent: string;
  charge: string;
  created: number;
  amount: number;
  currency: string;
  status: 'succeeded' | 'pending' | 'failed';
  reason: string | null;
  metadata: Metadata;
  settleAt?: number;
  settleTo?: 'succeeded' | 'failed';
}

export interface Dispute {
  id: string;
  intent: string;
  charge: string;
  created: number;
  amount: number;
  currency: string;
  reason: string;
  status: 'needs_response' | 'under_review' | 'won' | 'lost';
}

export type Subject = 'intent' | 'charge' | 'refund' | 'dispute';

export interface EventRecord {
  id: string;
  type: string;
  on: Subject; // the event tells this record of its own line
  request: string | null;
  hook?: true; // to be sent to the webhook endpoint
}

export interface LedgerRow {
  type: 'captured' | 'refunded' | 'declined' | 'canceled' | 'disputed';
  payment_intent: string;
  order_id: string | null;
  amount: number;
  currency: string;
}

export interface Outcome {
  status: number;
  on?: Subject; // answer with this record of the line
  error?: Record<string, unknown>; // answer with this error (and the line's intent, when it has one)
}

export interface KeyRecord {
  key: string;
  endpoint: string;
  print: string; // digest of the parameters
  request: string;
  outcome: Outcome;
}

export interface Mail {
  id: string;
  at: number;
  from: string;
  to: string;
  cc?: string;
  bcc?: string;
  subject: string;
  body: BodyPlace;
  tag?: string;
  stream: string;
  metadata: Metadata;
  recipients: string[];
  bounce?: 'HardBounce' | 'SoftBounce';
  hook?: true;
}

export interface TextMessage {
  id: string;
  at: number;
  from: string;
  to: string;
  body: string;
  status: 'delivered' | 'undelivered';
  errorCode?: number;
  callback?: string;
  order_id: string | null;
  kind: string | null;
}

export interface Line {
  at: number; // milliseconds
  intent?: Intent;
  charge?: Charge;
  refund?: Refund;
  dispute?: Dispute;
  events?: EventRecord[];
  ledger?: LedgerRow[];
  key?: KeyRecord;
  mail?: Mail;
  text?: TextMessage;
  done?: string[]; // webhooks that need no further attempt
  forget?: true; // all idempotency keys, as if a day had passed
}
