// Webhooks that the providers never sent, or sent to somebody else: nothing they claim may come true.
import { createHmac } from 'node:crypto';
import { attack } from '../attack.ts';
import { clientsAt } from '../buyers/clients.ts';
import type { Context } from '../experiment.ts';
import { query } from '../system/databases.ts';
import { environmentOf } from '../system/environment.ts';
import { until } from '../wait.ts';
import { type Post, postmarkForgeries, twilioForgeries } from './message-webhooks.ts';

const READY_MS = 60_000;
const OLD_S = 600;
const PHONE = '+4917012345679';
const REFUSALS = [400, 401, 403, 404, 413];

/** An order that somebody would like to be paid, and one that is. */
type Target = { unpaid: Intent; paid: Intent; succeeded: Event; mailId: string; textId: string };
type Intent = { id: string; amount: number; currency: string; metadata: Record<string, string> };
type Event = { id: string; type: string; data: { object: Record<string, unknown> } };

const targets = new WeakMap<Context, Target>();

export const A8 = attack({
  id: 'A8',
  title: 'forged, altered, replayed and misdirected webhooks',
  tries: 'webhooks',
  changesNothing: true,
  // The ids of those that were well signed are remembered, whatever they say.
  mayChange: ['payment.webhook_event'],
  async prepare(context) {
    const { system, skus: [sku = ''], name } = context;
    const { orders } = clientsAt(system.runtime.edge, system.runtime.tokens.service);
    const place = async (what: string, paymentMethod: string): Promise<string> => {
      const customer = { name: 'A8', email: `${name}-${what}@example.com`, phone: PHONE };
      return (await orders.placeOrder({ requestId: `${what}-${name}`.slice(-64), customer, lines: [{ sku, quantity: 2 }], paymentMethod })).order?.orderId ?? '';
    };
    const [unpaid, paid] = await Promise.all([place('unpaid', ''), place('paid', 'pm_card_visa')]);
    const [mail, text] = await Promise.all(['email', 'sms'].map(async (channel) => until(`the ${channel} of the paid order`, READY_MS, async () => {
      const rows = await query<{ id: string }>(system, 'notification', "SELECT notification_id AS id FROM notification WHERE order_id = $1 AND channel = $2 AND state IN ('sent', 'delivered')", [paid, channel]);
      return rows[0];
    })));
    const succeeded = await until('the genuine webhook', READY_MS, async () => (await stripe<{ data: Event[] }>(context, 'events?type=payment_intent.succeeded')).data.find((event) => orderOf(event) === paid));
    targets.set(context, { unpaid: await intentOf(context, unpaid), paid: await intentOf(context, paid), succeeded, mailId: mail?.id ?? '', textId: text?.id ?? '' });
  },
  async round(context, tries) {
    const { edge, services } = context.system.runtime;
    const { mailId, textId } = targets.get(context) as Target;
    const environment = environmentOf(context.system, 'notification');
    const posts = context.random.shuffled([...stripeForgeries(context), ...postmarkForgeries(environment['POSTMARK_WEBHOOK_SECRET'] ?? '', mailId), ...twilioForgeries(environment['TWILIO_AUTH_TOKEN'] ?? '', environment['TWILIO_WEBHOOK_URL'] ?? '', textId)]);
    for (const { name, path, headers, body, ignored } of posts) {
      for (const base of [edge, path.startsWith('/webhooks/stripe') ? services.payment : services.notification]) {
        const { status } = await fetch(`${base}${path}`, { method: 'POST', headers, body });
        const right = ignored === true ? status < 300 : REFUSALS.includes(status);
        tries.look(`${name} at ${base}`, right ? undefined : `answered ${status}`);
      }
    }
  },
});

function stripeForgeries(context: Context): Post[] {
  const { unpaid, paid, succeeded } = targets.get(context) as Target;
  const secret = environmentOf(context.system, 'payment')['STRIPE_WEBHOOK_SECRET'] ?? '';
  const now = Math.floor(Date.now() / 1_000);
  const lie = (object: object = {}, event: object = {}): string => JSON.stringify({ ...succeeded, id: `evt_forged_${crypto.randomUUID()}`, data: { object: { ...succeeded.data.object, ...unpaid, status: 'succeeded', amount_received: unpaid.amount, ...object } }, ...event });
  const about = (type: string, object: object): string => lie({}, { type, data: { object } });
  const sign = (body: string, { with: key = secret, at = now, scheme = 'v1' } = {}): string => `t=${at},${scheme}=${createHmac('sha256', key).update(`${at}.${body}`).digest('hex')}`;
  const genuine = JSON.stringify(succeeded);
  const post = (name: string, body: string, signature: string | undefined, ignored = false): Post => ({
    name: `Stripe: ${name}`, path: '/webhooks/stripe', body, ignored, headers: { 'content-type': 'application/json', ...(signature !== undefined && { 'stripe-signature': signature }) },
  });
  const wanted = lie();
  const well = (name: string, body: string): Post => post(name, body, sign(body), true);
  return [
    post('no signature', wanted, undefined), post('an empty signature', wanted, ''), post('a signature of garbage', wanted, 't=1,v1=00'), post('another secret', wanted, sign(wanted, { with: `${secret}x` })), post('an empty secret', wanted, sign(wanted, { with: '' })),
    post('an old signature', wanted, sign(wanted, { at: now - OLD_S })), post('one from the future', wanted, sign(wanted, { at: now + OLD_S })), post('another scheme', wanted, sign(wanted, { scheme: 'v0' })),
    post('a new time on an old signature', wanted, sign(wanted, { at: now - OLD_S }).replace(/t=\d+/, `t=${now}`)), post('a genuine signature on another body', wanted, sign(genuine)),
    post('one byte altered', genuine.replace('"amount":', '"amount":1'), sign(genuine)), post('parsed and serialised again', JSON.stringify(succeeded, null, 2), sign(genuine)), post('cut short', genuine.slice(0, -1), sign(genuine)), post('no body', '', sign(genuine)),
    post('signed, but no JSON', 'payment_intent.succeeded', sign('payment_intent.succeeded')),
    well('a genuine one again', genuine),
    well('another account\'s', lie({}, { account: 'acct_somebody' })), well('a smaller amount', lie({ amount: 1, amount_received: 1 })), well('received less than asked for', lie({ amount_received: unpaid.amount - 1 })), well('another currency', lie({ currency: 'jpy' })),
    well('an intent that is not ours', lie({ id: 'pi_somebody' })), well('our intent for another order', lie({ metadata: paid.metadata })), well('an intent for no order', lie({ id: 'pi_nobody', metadata: {} })),
    well('a type of tomorrow', lie({}, { type: 'payment_intent.teleported' })), well('a refund of more than was paid', about('refund.created', refund(paid, paid.amount + 1))), well('a refund in another currency', about('refund.created', { ...refund(paid, 1), currency: 'jpy' })),
    well('a refund of somebody\'s payment', about('refund.created', { ...refund(paid, 1), payment_intent: 'pi_somebody' })), well('a dispute of somebody\'s payment', about('charge.dispute.created', { id: 'dp_forged', object: 'dispute', payment_intent: 'pi_somebody', amount: 1, currency: 'eur', reason: 'fraudulent', status: 'needs_response' })),
    well('another account\'s refund', lie({}, { account: 'acct_somebody', type: 'refund.created', data: { object: refund(paid, 1) } })),
  ];
}

function refund({ id, currency }: Intent, amount: number): object {
  return { id: `re_forged_${crypto.randomUUID()}`, object: 'refund', payment_intent: id, amount, currency, status: 'succeeded', metadata: {}, reason: null };
}

async function intentOf(context: Context, orderId: string): Promise<Intent> {
  const payment = await until(`the intent of ${orderId}`, READY_MS, async () => (await query<{ id: string }>(context.system, 'payment', "SELECT provider_payment_id AS id FROM payment WHERE order_id = $1 AND provider_payment_id <> ''", [orderId]))[0]);
  const { id, amount, currency, metadata } = await stripe<Intent>(context, `payment_intents/${payment.id}`);
  return { id, amount, currency, metadata };
}

async function stripe<T>({ system }: Context, path: string): Promise<T> {
  const key = environmentOf(system, 'payment')['STRIPE_SECRET_KEY'] ?? '';
  return (await (await fetch(`${system.runtime.sandbox}/v1/${path}`, { headers: { authorization: `Bearer ${key}` } })).json()) as T;
}

function orderOf({ data: { object } }: Event): string | undefined {
  return (object['metadata'] as Record<string, string> | undefined)?.['order_id'];
}
