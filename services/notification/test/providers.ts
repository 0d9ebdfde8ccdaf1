// The sandbox for one test file, with what it took and what it shall do wrong.

import { startSandbox } from '@millrace/sandbox';
import { newFolder } from '../../../test/support/servers.ts';

export const KEYS = {
  POSTMARK_SERVER_TOKEN: 'postmark-token',
  POSTMARK_WEBHOOK_SECRET: 'postmark-webhook-secret',
  TWILIO_ACCOUNT_SID: 'ACtest',
  TWILIO_AUTH_TOKEN: 'twilio-token',
};

export type Mail = { message_id: string; to: string; subject: string; order_id: string; kind: string; html: string; text: string };
export type Text = { message_id: string; to: string; body: string; order_id: string; kind: string };
export type Fault = { provider: 'postmark' | 'twilio'; operation: string; effect: 'error' | 'delay' | 'lost_reply'; status?: number; delay_ms?: number; times?: number; probability?: number };

/** `webhooks`: the base URL that deliveries are reported to. */
export async function startProviders(webhooks?: string) {
  const sandbox = await startSandbox({
    PORT: '0',
    LOG_LEVEL: 'silent',
    SANDBOX_DATA: newFolder('sandbox'),
    STRIPE_SECRET_KEY: 'sk_test_x',
    STRIPE_WEBHOOK_SECRET: 'whsec_x',
    ...KEYS,
    ...(webhooks ? { POSTMARK_WEBHOOK_URL: `${webhooks}/webhooks/postmark` } : {}),
  });
  const post = async (path: string, body: object = {}) => {
    const response = await fetch(sandbox.url + path, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(await response.text());
  };
  const ledger = async (provider: string) => (await fetch(`${sandbox.url}/ledger/${provider}`)).json();
  return {
    url: sandbox.url,
    stop: sandbox.stop,
    mails: async (orderId?: string) => ((await ledger('postmark')) as Mail[]).filter((mail) => orderId === undefined || mail.order_id === orderId),
    texts: async (orderId?: string) => ((await ledger('twilio')) as Text[]).filter((text) => orderId === undefined || text.order_id === orderId),
    fail: (fault: Fault) => post('/control/faults', fault),
    webhooks: (mode: object) => post('/control/webhooks', mode),
    heal: () => post('/control/reset'),
    /** How often each fault has struck. */
    strikes: async () => ((await (await fetch(`${sandbox.url}/control/faults`)).json()) as { hits: number }[]).map((fault) => fault.hits),
  };
}

export type Providers = Awaited<ReturnType<typeof startProviders>>;
