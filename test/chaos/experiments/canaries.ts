// Card numbers and people's data in every place that takes a text, while everything around fails: then they are looked for.
import { clientsAt } from '../buyers/clients.ts';
import type { AuditRow } from '../checks/audit.ts';
import { type Canaries, buyersOf, errorsOf, leaks, secretsOf } from '../checks/leaks.ts';
import type { Context, Experiment } from '../experiment.ts';
import type { Lengths } from '../form.ts';
import { count } from '../system/databases.ts';
import { environmentOf } from '../system/environment.ts';
import { pause, until } from '../wait.ts';

/** Test numbers of the schemes, as people write them. */
const CARDS = ['4242424242424242', '5555 5555 5555 4444', '3782-822463-10005', '6011 1111 1111 1117'];
const FAILING_MS: Lengths = { brief: 2_000, short: 6_000, full: 30_000 };
const READY_MS = 60_000;
const ORDERS = 8;
const FAILING = 0.3;
const PERSON = /^(name|line1|line2|city|email|phone)$/;

/** What callers were told in this run. */
const told = new WeakMap<Context, string[]>();
const people = new WeakMap<Context, Map<string, string>>();

export const I18: Experiment = {
  id: 'I18',
  title: 'canaries: cards, secrets and people in every text, while providers, database and broker fail',
  async run(context) {
    const { system, by, random } = context;
    const errors: string[] = [];
    told.set(context, errors);
    people.set(context, new Map());
    for (const provider of ['stripe', 'postmark', 'twilio']) await system.control('faults', { provider, effect: 'error', status: 500, probability: FAILING });
    await system.control('faults', { provider: 'postmark', effect: 'decline', probability: FAILING });
    await Promise.all(Array.from({ length: ORDERS }, async (_, i) => liveOrder(context, i)));
    await nonsense(context, errors);
    await pause(by(FAILING_MS));
    await system.kill(random.chance(0.5) ? ['postgres', 'nats'] : ['nats', 'postgres']);
    await nonsense(context, errors);
    const taken = await until('the database is back', READY_MS, async () => mentions(context));
    return { count: taken + errors.length, what: 'texts and errors with canaries' };
  },
  async rows(context): Promise<AuditRow[]> {
    const { system, journal } = context;
    const secrets = new Map([...(await secretsOf(system)), ...CARDS.map((card): [string, string] => [`the card number ${card}`, card])]);
    const canaries: Canaries = { secrets, personal: new Map([...buyersOf(journal), ...(people.get(context) ?? [])]) };
    return [await leaks(system, canaries, [...errorsOf(journal), ...(told.get(context) ?? [])])];
  },
};

/** An order of somebody who types a card number wherever there is room, and what may happen to one. */
async function liveOrder(context: Context, i: number): Promise<void> {
  const { system: { runtime }, name, skus: [sku = ''] } = context;
  const { orders, payments } = clientsAt(runtime.edge, runtime.tokens.admin);
  const card = CARDS[i % CARDS.length] ?? '';
  const person = { name: `Kanari ${name} ${i} ${card}`, line1: `Canary Street ${name} ${i}`, line2: `Flat ${name} ${i}`, city: `Canaryville ${name} ${i}`, email: `canary-${name}-${i}@example.com`, phone: `+49170${String(2_000_000 + i)}` };
  for (const [field, value] of Object.entries(person)) if (PERSON.test(field)) people.get(context)?.set(`${field} ${i}`, value);
  const { email, phone, ...address } = person;
  const ignored = (): void => {};
  const { order } = await orders.placeOrder({
    requestId: `canary-${i}-${name}`.slice(0, 64), customer: { customerId: `canary-${i}`, name: person.name, email, phone }, lines: [{ sku, quantity: 2 }], shippingAddress: { ...address, postalCode: '12345', countryCode: 'DE' }, note: `my card is ${card}`,
    paymentMethod: i % 3 === 0 ? 'pm_card_chargeDeclined' : 'pm_card_visa',
  }).catch(() => ({ order: undefined }));
  if (!order) return;
  const { orderId } = order;
  if (i % 3 === 0) await payments.confirmPayment({ orderId, paymentMethod: 'pm_card_visa', requestId: crypto.randomUUID() }).catch(ignored);
  if (i % 3 === 1) await orders.cancelOrder({ orderId, reason: `charged the wrong card: ${card}` }).catch(ignored);
  if (i % 3 === 2) await orders.refundOrder({ orderId, amount: { currencyCode: 'EUR', minorUnits: 1n }, reason: `back to ${card}`, requestId: crypto.randomUUID() }).catch(ignored);
  await orders.fulfillOrder({ orderId, carrier: `for ${person.name}` }).catch(ignored);
}

/** Calls and webhooks that fail, with canaries where the error might quote them. */
async function nonsense(context: Context, errors: string[]): Promise<void> {
  const { system, name } = context;
  const { edge, services, tokens } = system.runtime;
  const { STRIPE_SECRET_KEY: key = '', STRIPE_WEBHOOK_SECRET: webhookSecret = '' } = environmentOf(system, 'payment');
  const email = `wrong-${name}@example.com`;
  people.get(context)?.set('an address in an error', email);
  const order = '/millrace.order.v1.OrderService';
  const calls: [path: string, body: string][] = [
    ...[email, CARDS[0] ?? '', key, tokens.admin.slice(0, 64), `pi_1_secret_${name}`].map((text): [string, string] => [`${order}/GetOrder`, JSON.stringify({ orderId: text.slice(0, 64) })]),
    [`${order}/PlaceOrder`, JSON.stringify({ requestId: 'x', customer: { email: `${email} or ${CARDS[1]}`, phone: CARDS[0], name: `Kanari ${email}` }, lines: [{ sku: email, quantity: -1 }], paymentMethod: CARDS[0] })],
    [`${order}/PlaceOrder`, `{"requestId": "x", "customer": {"email": "${email}", "card": "${CARDS[1]}"`], [`${order}/PlaceOrder`, JSON.stringify({ requestId: { email }, customer: CARDS[0] })], [`${order}/PlaceOrder`, JSON.stringify({ requestId: 'x', shippingAddress: { countryCode: CARDS[2], city: email } })],
    [`${order}/ListOrders`, JSON.stringify({ pageToken: Buffer.from(`${email} ${CARDS[0]}`).toString('base64url') })], [`${order}/${email}`, '{}'],
    ['/millrace.notification.v1.NotificationService/GetNotification', JSON.stringify({ notificationId: email })], ['/millrace.payment.v1.PaymentService/ConfirmPayment', JSON.stringify({ orderId: email, paymentMethod: `pm_${CARDS[0]}`, requestId: 'x' })],
    ['/webhooks/stripe', JSON.stringify({ email, card: CARDS[0], key, secret: webhookSecret })], ['/webhooks/postmark', JSON.stringify({ Email: email })], [`/webhooks/twilio?email=${email}`, `To=${CARDS[0]}`],
  ];
  for (const base of [edge, services.order, services.payment]) {
    for (const [path, body] of calls) {
      for (const authorization of [`Bearer ${tokens.admin}`, `Bearer ${tokens.admin}x`, `Basic ${Buffer.from(email).toString('base64')}`]) {
        const response = await fetch(`${base}${path}`, { method: 'POST', headers: { 'content-type': 'application/json', authorization, 'x-request-id': email, traceparent: CARDS[0] ?? '' }, body }).catch(() => undefined);
        if (response && !response.ok) errors.push(`${[...response.headers].join('\n')}\n${await response.text()}`);
      }
    }
  }
}

/** How often canaries were taken in: an order keeps what it was given. */
async function mentions({ system, name }: Context): Promise<number> {
  return count(system, 'order', 'orders WHERE position($1 IN to_jsonb(orders)::text) > 0', [`Kanari ${name}`]);
}
