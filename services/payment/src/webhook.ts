// POST /webhooks/stripe: nothing is believed before its signature is checked, and 200 is said after the commit, not before.
import type { HttpHandler } from '@millrace/chassis/server/server';
import type { Log } from '@millrace/chassis/telemetry/log';
import type { Stripe } from 'stripe';
import type { Provider } from './stripe.ts';
import { type News, newsOf } from './take-webhook.ts';

export function stripeWebhook(provider: Provider, takeWebhook: (news: News) => Promise<void>, log: Log): HttpHandler {
  return async ({ method, headers, body }) => {
    if (method !== 'POST') return { status: 405, headers: { allow: 'POST' } };
    let event: Stripe.Event;
    try {
      event = provider.readWebhook(body, headers.get('stripe-signature') ?? '');
    } catch (error) {
      log.warn({ reason: (error as Error).name }, 'a webhook without a valid signature was refused');
      return { status: 400, body: 'the signature is missing, wrong or too old\n' };
    }
    const news = newsOf(event);
    if (news) await takeWebhook(news);
    return { status: 200 };
  };
}
