// The environment of payment, read once.
import { type Env, duration, readConfig, serviceConfig, url } from '@millrace/chassis/config';
import { z } from 'zod';

const paymentConfig = {
  ...serviceConfig,
  STRIPE_SECRET_KEY: z.string('expected the secret key of the Stripe account, sk_…'),
  STRIPE_WEBHOOK_SECRET: z.string('expected the signing secret of the webhook endpoint, whsec_…'),
  /** Another host than Stripe's own: the sandbox. */
  STRIPE_API_BASE: url.optional(),
  /** Where a bank sends the buyer back to; without it 3-D Secure needs Stripe.js, and there is no action_url. */
  STRIPE_RETURN_URL: url.optional(),
  /** How late the provider's search may show what it has taken. */
  STRIPE_SEARCH_LAG: duration.default(60_000),
  RECONCILE_INTERVAL: duration.default(60_000),
};

export type PaymentConfig = ReturnType<typeof readPaymentConfig>;

export const readPaymentConfig = (env: Env) => readConfig('payment', paymentConfig, env);
