// Stripe, through its SDK: one method for each step of a payment, each with its deterministic idempotency key.
import http from 'node:http';
import https from 'node:https';
import { type Bulkhead, createBulkhead } from '@millrace/chassis/flow/bulkhead';
import { Stripe } from 'stripe';
import type { DisputeFact, Fact, IntentFact, RefundFact } from './facts.ts';
import { type Account, type Step, idempotencyKey } from './payment.ts';
import { disputeFact, factsOfError, intentFact, nothingFound, refundFact } from './stripe-facts.ts';

/** Stripe's own answers take up to a few seconds; after that the outcome is unknown and is looked up. */
const TIMEOUT_MS = 10_000;
const PAGE = 100;
/** A slow provider fills these. In flight at 200 ms each that is 320 a second; Stripe allows 100 a second in live mode unless asked for more. Who waits are people waiting for their payment. */
const PLACES = { most: 64, waiting: 256, refusal: 'too many calls wait for the payment provider', retryAfterMs: 1_000 };
/** The SDK refuses what was signed longer ago than this, but takes whatever the future signs. */
const MAX_WEBHOOK_SKEW_S = 300;

export type ProviderRecord = IntentFact | RefundFact | DisputeFact;

export type Provider = {
  /** Takes a step at the provider, outside any transaction, and answers what it learnt. */
  perform(step: Step, account: Account): Promise<Fact[]>;
  /** Whether the provider knows an intent. */
  knows(intentId: string): Promise<boolean>;
  /** Closes an intent that is none of a payment's. */
  cancelStray(intentId: string): Promise<IntentFact>;
  /** What was created since, newest first, at most `limit` of each kind. */
  recordsSince(since: Date, limit: number): AsyncIterable<ProviderRecord>;
  /** Throws when the signature is not Stripe's. */
  readWebhook(body: Uint8Array, signature: string): Stripe.Event;
  close(): void;
};

export type StripeOptions = { STRIPE_SECRET_KEY: string; STRIPE_WEBHOOK_SECRET: string; STRIPE_API_BASE?: string | undefined; STRIPE_RETURN_URL?: string | undefined; STRIPE_SEARCH_LAG: number };

export function createStripe(options: StripeOptions): Provider {
  const base = new URL(options.STRIPE_API_BASE ?? 'https://api.stripe.com');
  const agent = new (base.protocol === 'http:' ? http : https).Agent({ keepAlive: true, maxSockets: PLACES.most });
  const stripe = new Stripe(options.STRIPE_SECRET_KEY, {
    host: base.hostname, port: base.port || (base.protocol === 'http:' ? 80 : 443), protocol: base.protocol === 'http:' ? 'http' : 'https',
    httpAgent: agent, timeout: TIMEOUT_MS,
    maxNetworkRetries: 0, // the runner retries, with a look in between
    telemetry: false,
  });
  const bulkhead = createBulkhead(PLACES);
  return {
    async perform(step, account) {
      try {
        return await take(stripe, bulkhead, step, account, options);
      } catch (error) {
        return factsOfError(error, step, account, options.STRIPE_SEARCH_LAG);
      }
    },
    async knows(intentId) {
      try {
        return (await bulkhead(() => stripe.paymentIntents.retrieve(intentId))).id === intentId;
      } catch (error) {
        if (error instanceof Stripe.errors.StripeInvalidRequestError && error.code === 'resource_missing') return false;
        throw error;
      }
    },
    cancelStray: async (intentId) => intentFact(await bulkhead(() => stripe.paymentIntents.cancel(intentId, {}, { idempotencyKey: `cancel:${intentId}` }))),
    async *recordsSince(since, limit) {
      const page = { created: { gte: Math.floor(since.getTime() / 1_000) }, limit: PAGE };
      yield* first(limit, stripe.paymentIntents.list(page), (intent) => intentFact(intent));
      yield* first(limit, stripe.refunds.list(page), refundFact);
      yield* first(limit, stripe.disputes.list(page), disputeFact);
    },
    readWebhook(body, signature) {
      const event = stripe.webhooks.constructEvent(Buffer.from(body), signature, options.STRIPE_WEBHOOK_SECRET, MAX_WEBHOOK_SKEW_S);
      if (signedAt(signature) > Date.now() / 1_000 + MAX_WEBHOOK_SKEW_S) throw new Stripe.errors.StripeSignatureVerificationError(signature, body, { message: 'signed in the future' });
      return event;
    },
    close: () => agent.destroy(),
  };
}

/** Of several times the SDK checks the last. */
function signedAt(signature: string): number {
  return Number(signature.split(',').findLast((part) => part.startsWith('t='))?.slice(2));
}

async function take(stripe: Stripe, bulkhead: Bulkhead, step: Step, account: Account, { STRIPE_RETURN_URL: returnUrl, STRIPE_SEARCH_LAG }: StripeOptions): Promise<Fact[]> {
  const { payment } = account;
  const { orderId, paymentId, providerPaymentId } = payment;
  const once = { idempotencyKey: idempotencyKey(step, payment) };
  const confirming = { payment_method: payment.paymentMethod, ...(returnUrl && { return_url: returnUrl }) };
  const create = (more: object) => bulkhead(() => stripe.paymentIntents.create({
    amount: Number(payment.amount), currency: payment.currency.toLowerCase(), metadata: { order_id: orderId, payment_id: paymentId },
    automatic_payment_methods: { enabled: true, allow_redirects: 'never' }, ...more,
  }, once));
  switch (step.do) {
    case 'pay':
      return [intentFact(await create({ ...confirming, confirm: true }), payment.attempts)];
    case 'create':
      return [intentFact(await create({}))];
    case 'find': {
      // The index behind the search may lag a minute. What it misses is asked for again under its key, or can't have been paid because it was never stored.
      const query = `metadata['order_id']:'${orderId.replace(/[\\']/g, '\\$&')}'`;
      const { data } = await bulkhead(() => stripe.paymentIntents.search({ query, limit: 10 }));
      const found = data.find((intent) => intent.metadata['payment_id'] === paymentId && intent.status !== 'canceled');
      return found ? [intentFact(found)] : nothingFound(account, STRIPE_SEARCH_LAG);
    }
    case 'confirm':
      return [intentFact(await bulkhead(() => stripe.paymentIntents.confirm(providerPaymentId, confirming, once)), payment.attempts)];
    case 'cancel':
      return [intentFact(await bulkhead(() => stripe.paymentIntents.cancel(providerPaymentId, {}, once)))];
    case 'look_up': {
      const intent = intentFact(await bulkhead(() => stripe.paymentIntents.retrieve(providerPaymentId)));
      if (intent.status !== 'captured') return [intent];
      const { data } = await bulkhead(() => stripe.refunds.list({ payment_intent: providerPaymentId, limit: PAGE }));
      return [intent, ...data.map(refundFact)];
    }
    case 'refund': {
      const { refundId, amount } = step.refund;
      return [refundFact(await bulkhead(() => stripe.refunds.create({ payment_intent: providerPaymentId, amount: Number(amount), metadata: { refund_id: refundId, order_id: orderId } }, once)))];
    }
    case 'close': return [{ kind: 'closed' }];
    case 'nothing': return [];
  }
  return step satisfies never;
}

async function* first<T, R>(limit: number, records: AsyncIterable<T>, read: (record: T) => R): AsyncIterable<R> {
  let left = limit;
  for await (const record of records) {
    if (left-- <= 0) return;
    yield read(record);
  }
}
