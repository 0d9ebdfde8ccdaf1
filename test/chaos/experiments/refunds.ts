// Refunds that want more than was paid: too much, of too many units, many at once, through both doors.
import { Code, ConnectError } from '@connectrpc/connect';
import { type Clients, clientsAt } from '../buyers/clients.ts';
import type { Tally } from '../checks/tally.ts';
import type { Context } from '../experiment.ts';
import { query } from '../system/databases.ts';
import { until } from '../wait.ts';

const READY_MS = 60_000;
const MAX_INT64 = 9_223_372_036_854_775_807n;
const CONCURRENT = 12;
const UNITS = 4;
const ORDERS = 4;
const CUSTOMER = { name: 'A9', email: 'a9@example.com' };
/** Refusals of a request that was read and understood. */
const REFUSED: readonly string[] = ['InvalidArgument', 'FailedPrecondition', 'AlreadyExists'];

export async function tamperedRefunds(context: Context, price: number, tries: Tally): Promise<void> {
  const { system: { runtime: { edge, tokens } }, skus: [sku = '', other = ''] } = context;
  const clients = clientsAt(edge, tokens.service);
  const { orders, payments } = clients;
  const total = BigInt(price * UNITS);
  const eur = (minorUnits: bigint) => ({ currencyCode: 'EUR', minorUnits });
  const refund = (orderId: string, more: object) => async (): Promise<unknown> => orders.refundOrder({ orderId, requestId: crypto.randomUUID(), ...more });

  const [orderId = '', oneDoor = '', twoDoors = '', once = ''] = await Promise.all(Array.from({ length: ORDERS }, async () => paidOrder(context, clients)));
  const refusals: Record<string, () => Promise<unknown>> = {
    'more than was paid': refund(orderId, { amount: eur(total + 1n) }), 'nothing': refund(orderId, { amount: eur(0n) }), 'less than nothing': refund(orderId, { amount: eur(-1n) }), 'in 63 bits': refund(orderId, { amount: eur(MAX_INT64) }),
    'in another currency': refund(orderId, { amount: { currencyCode: 'JPY', minorUnits: 1n } }), 'of more units than were bought': refund(orderId, { lines: [{ sku, quantity: UNITS + 1 }] }), 'of one sku in two lines': refund(orderId, { lines: [{ sku, quantity: UNITS }, { sku, quantity: 1 }] }),
    'of what was not bought': refund(orderId, { lines: [{ sku: other, quantity: 1 }] }), 'of an amount and of lines': refund(orderId, { amount: eur(1n), lines: [{ sku, quantity: 1 }] }),
    'at the payment, more than was paid': async () => payments.refundPayment({ orderId, requestId: crypto.randomUUID(), amount: eur(total + 1n) }), 'at the payment, in another currency': async () => payments.refundPayment({ orderId, requestId: crypto.randomUUID(), amount: { currencyCode: 'JPY', minorUnits: 1n } }),
  };
  for (const [what, ask] of Object.entries(refusals)) tries.look(`a refund ${what}`, isRefusal(await codeOf(ask())));

  // Of many at once that each want more than half, one gets it; whichever door they come through.
  const amount = eur(total / 2n + 1n);
  for (const [wanted, doors] of [[oneDoor, 1], [twoDoors, 2]] as const) {
    await Promise.all(Array.from({ length: CONCURRENT }, async (_, n) => {
      const request = { orderId: wanted, requestId: crypto.randomUUID(), amount };
      return codeOf(n % doors === 1 ? payments.refundPayment(request) : orders.refundOrder(request));
    }));
    tries.look(`${CONCURRENT} refunds at once through ${doors} doors`, await overpaid(context, wanted, total));
  }

  // The same request many times at once is one refund.
  const requestId = crypto.randomUUID();
  const codes = await Promise.all(Array.from({ length: CONCURRENT }, async () => codeOf(orders.refundOrder({ orderId: once, requestId, amount: eur(1n) }))));
  const given = await until('the refund', READY_MS, async () => (await orders.getOrder({ orderId: once })).order?.refunded?.minorUnits);
  tries.look('one refund asked for many times', codes.every((code) => code === 'Ok') && given === 1n ? undefined : `${codes.join()}, ${given} given back`);
}

async function paidOrder(context: Context, { orders }: Clients): Promise<string> {
  const { skus: [sku = ''] } = context;
  const { order } = await orders.placeOrder({ requestId: crypto.randomUUID(), customer: CUSTOMER, lines: [{ sku, quantity: UNITS }], paymentMethod: 'pm_card_visa' });
  const orderId = order?.orderId ?? '';
  await until('the order is paid', READY_MS, async () => (await query<{ ok: boolean }>(context.system, 'order', "SELECT state = 'CONFIRMED' AND stock_committed AS ok FROM orders WHERE order_id = $1", [orderId]))[0]?.ok);
  return orderId;
}

/** What payment owes or has given back must not be more than was captured. I3 asks the provider the same, at the end. */
async function overpaid({ system }: Context, orderId: string, total: bigint): Promise<string | undefined> {
  const row = await until('the refunds are decided', READY_MS, async () => {
    // One that order has granted reaches payment as an event, and may still be on its way.
    const [found] = await query<{ refunded: string; pending: string; asked: number; open: number }>(system, 'payment', `
      SELECT p.refunded, p.refund_pending AS pending, count(r)::int AS asked, count(r) FILTER (WHERE r.state = 'PENDING')::int AS open
      FROM payment p LEFT JOIN refund r USING (order_id) WHERE p.order_id = $1 GROUP BY p.order_id`, [orderId]);
    return found && found.asked > 0 && found.open === 0 && found;
  });
  return BigInt(row.refunded) + BigInt(row.pending) <= total && BigInt(row.refunded) > 0n ? undefined : `${row.refunded} of ${total} were given back`;
}

function isRefusal(code: string): string | undefined {
  return REFUSED.includes(code) ? undefined : `answered ${code}`;
}

async function codeOf(asked: Promise<unknown>): Promise<string> {
  return asked.then(() => 'Ok', (error: unknown) => Code[ConnectError.from(error).code] ?? 'none');
}
