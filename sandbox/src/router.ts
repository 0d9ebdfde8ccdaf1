// Which part of the sandbox a request belongs to.
import { control } from './control.ts';
import type { Handler, Incoming, Reply } from './http.ts';
import { inbox } from './inbox/inbox.ts';
import { ledger } from './ledger.ts';
import { createPostmarkApi } from './postmark/api.ts';
import type { Sandbox } from './sandbox.ts';
import { createStripeApi } from './stripe/api.ts';
import { BANK_PATH, bankPage } from './stripe/bank-page.ts';
import { createTwilioApi } from './twilio/api.ts';

export function createRouter(sandbox: Sandbox): Handler {
  const stripe = createStripeApi(sandbox);
  const postmark = createPostmarkApi(sandbox);
  const twilio = createTwilioApi(sandbox);
  let underWay = 0;
  const counted = async (provider: string, reply: Promise<Reply>): Promise<Reply> => {
    underWay += 1;
    try {
      const answer = await reply;
      sandbox.metrics.count('sandbox_requests_total', { provider, status: answer.lost ? 'lost' : String(answer.status) });
      return answer;
    } finally {
      underWay -= 1;
    }
  };

  return (incoming) => {
    const { path } = incoming;
    switch (providerOf(incoming)) {
      case 'stripe':
        return counted('stripe', stripe(incoming));
      case 'postmark':
        return counted('postmark', postmark(incoming));
      case 'twilio':
        return counted('twilio', twilio(incoming));
      default:
    }
    if (path.startsWith('/control')) return control(sandbox, incoming);
    if (path.startsWith(BANK_PATH)) return bankPage(sandbox, incoming);
    if (incoming.method !== 'GET' && incoming.method !== 'HEAD') return notFound(incoming);
    if (path.startsWith('/ledger/')) return ledger(sandbox.store, incoming);
    return status(sandbox, path, underWay) ?? inbox(sandbox, incoming) ?? notFound(incoming);
  };
}

/** By path; a path that is nobody's is answered by the provider whose credentials it carries. */
function providerOf({ path, headers }: Incoming): 'stripe' | 'postmark' | 'twilio' | undefined {
  if (/^\/v[12](\/|$)/.test(path)) return 'stripe';
  if (path.startsWith('/2010-04-01')) return 'twilio';
  if (/^\/(email|messages)(\/|$)/.test(path) || headers['x-postmark-server-token'] !== undefined) return 'postmark';
  return /^bearer (sk|rk)_/i.test(headers['authorization'] ?? '') ? 'stripe' : undefined;
}

function status(sandbox: Sandbox, path: string, underWay: number): Reply | undefined {
  const text = { 'content-type': 'text/plain; charset=utf-8' };
  if (path === '/healthz' || path === '/readyz') return { status: 200, headers: text, body: 'ok\n' };
  if (path !== '/metrics') return undefined;
  const { store, deliveries } = sandbox;
  return {
    status: 200,
    headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
    body: sandbox.metrics.text({
      sandbox_journal_bytes: store.size(),
      sandbox_payment_intents: store.intents.count(),
      sandbox_mails: store.mails.count(),
      sandbox_texts: store.texts.count(),
      sandbox_idempotency_keys: store.keyCount(),
      sandbox_webhooks_waiting: deliveries.waiting(),
      sandbox_requests_under_way: underWay,
      process_resident_memory_bytes: process.memoryUsage.rss(),
    }),
  };
}

function notFound({ method, path }: Incoming): Reply {
  return { status: 404, body: `${JSON.stringify({ error: `the sandbox has nothing at ${method} ${path.slice(0, 200)}` })}\n` };
}
