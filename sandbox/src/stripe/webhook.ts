// Stripe's webhooks: an event as JSON, signed with `stripe-signature: t=…,v1=…` over time and body.
import { createHmac } from 'node:crypto';
import type { Store } from '../store/store.ts';
import type { WebhookRequest, WebhookSource } from '../webhooks/source.ts';
import { type RenderContext, renderEvent, type Rendered } from './render.ts';

const STALE_SECONDS = 3_600;

export interface StripeWebhookOptions {
  url: string | undefined;
  secret: string;
}

export function createStripeWebhooks(store: Store, render: RenderContext, { url, secret }: StripeWebhookOptions): WebhookSource {
  const event = (id: string): Rendered | undefined => {
    const record = store.events.get(id);
    const line = record && store.events.line(store.events.numberOf(id));
    return record && line && renderEvent(line, record, 1, render);
  };
  const post = (body: string, signature: string | undefined): WebhookRequest | undefined =>
    url === undefined
      ? undefined
      : {
          url,
          body,
          headers: {
            'content-type': 'application/json; charset=utf-8',
            'user-agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
            ...(signature !== undefined && { 'stripe-signature': signature }),
          },
        };

  return {
    build(hook) {
      const told = event(hook);
      if (!told) return undefined;
      const body = JSON.stringify(told);
      return post(body, sign(body, secret, nowSeconds()));
    },
    forge(hook, variant) {
      const told = event(hook);
      if (!told) return undefined;
      const genuine = JSON.stringify(told);
      const altered = JSON.stringify(alter(told));
      switch (variant % 4) {
        case 0: // another body under a genuine signature
          return post(altered, sign(genuine, secret, nowSeconds()));
        case 1: // somebody else's secret
          return post(altered, sign(altered, `${secret}x`, nowSeconds()));
        case 2: // genuine, but too old to be believed
          return post(altered, sign(altered, secret, nowSeconds() - STALE_SECONDS));
        default:
          return post(altered, undefined);
      }
    },
    isFinal: () => false,
  };
}

export function sign(body: string, secret: string, timestamp: number): string {
  return `t=${timestamp},v1=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`;
}

function alter(event: Rendered): Rendered {
  const object = (event['data'] as { object: Rendered }).object;
  return { ...event, id: `evt_forged${String(event['id']).slice(4)}`, data: { object: { ...object, amount: 1, amount_received: 1 } } };
}

const nowSeconds = () => Math.floor(Date.now() / 1000);
