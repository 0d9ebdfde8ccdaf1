// Buyers who set their own price, quantity or state.
import { attack } from '../attack.ts';
import type { Tally } from '../checks/tally.ts';
import type { Context } from '../experiment.ts';
import { tamperedRefunds } from './refunds.ts';

const MAX_INT64 = 9_223_372_036_854_775_807n;
const CUSTOMER = { name: 'A9', email: 'a9@example.com' };
/** What every product of a run costs. */
const PRICE = 1_250;
/** A thousand units are worth more than money can be. */
const COSTLY = 900_000_000_000n;

let number = 0;

export const A9 = attack({
  id: 'A9',
  title: 'prices, quantities and refunds of the caller\'s own making',
  tries: 'tampered calls',
  async prepare({ admin: { products }, name }: Context) {
    for (const [sku, currencyCode, minorUnits] of [[inYen(name), 'JPY', 100n], [costly(name), 'EUR', COSTLY]] as const) await products.createProduct({ product: { sku, name: 'A9', price: { currencyCode, minorUnits } } });
  },
  async round(context, tries) {
    await tamperedOrders(context, tries);
    await tamperedRefunds(context, PRICE, tries);
  },
});

const inYen = (name: string): string => `${name}-y`.slice(-64);
const costly = (name: string): string => `${name}-d`.slice(-64);

/** Raw JSON, because no client of ours can say such things. */
async function tamperedOrders({ system, skus: [sku = '', other = ''], name }: Context, tries: Tally): Promise<void> {
  const { edge, services, tokens } = system.runtime;
  const usual = { customer: CUSTOMER, lines: [{ sku, quantity: 1 }] };
  const line = (quantity: unknown) => ({ ...usual, lines: [{ sku, quantity }] });
  const free = { currencyCode: 'EUR', minorUnits: '1' };
  const refused: Record<string, object> = {
    'no unit': line(0), 'units below none': line(-1), 'part of a unit': line(1.5), 'units beyond 32 bits': line(4_294_967_297), 'units beyond 31 bits': line(2_147_483_648), 'units beyond the limit': line(1_000_001), 'units in words': line('many'), 'units as a list': line([1]), 'units as a large text': line('99999999999999999999'),
    'no line': { ...usual, lines: [] }, 'lines beyond the limit': { ...usual, lines: Array.from({ length: 101 }, () => ({ sku, quantity: 1 })) }, 'lines of one sku that sum up beyond the limit': { ...usual, lines: [{ sku, quantity: 1_000_000 }, { sku, quantity: 1 }] },
    'two currencies': { ...usual, lines: [{ sku, quantity: 1 }, { sku: inYen(name), quantity: 1 }] }, 'a total beyond what money can hold': { ...usual, lines: [{ sku: costly(name), quantity: 1_000_000 }] },
    'a lower expected total': { ...usual, expectedTotal: free }, 'an expected total in another currency': { ...usual, expectedTotal: { currencyCode: 'JPY', minorUnits: '1250' } }, 'an expected total below nothing': { ...usual, expectedTotal: { currencyCode: 'EUR', minorUnits: '-1250' } },
    'an expected total of 63 bits': { ...usual, expectedTotal: { currencyCode: 'EUR', minorUnits: String(MAX_INT64) } }, 'an expected total of 64 bits': { ...usual, expectedTotal: { currencyCode: 'EUR', minorUnits: String(MAX_INT64 + 1n) } }, 'an expected total with a fraction': { ...usual, expectedTotal: { currencyCode: 'EUR', minorUnits: '0.5' } },
    'an unknown sku': { ...usual, lines: [{ sku: `${sku}x`, quantity: 1 }] }, 'a currency of one\'s own': { ...usual, expectedTotal: { currencyCode: 'eur', minorUnits: '1250' } }, 'a card number as payment method': { ...usual, paymentMethod: '4242424242424242' },
  };
  // Fields that are the service's own: they are not there to be set, and what they say is not heard.
  const unheard: Record<string, object> = {
    'a unit price': { ...usual, lines: [{ sku, quantity: 1, unitPrice: free, unit_price: free, lineTotal: free, name: 'cheap' }] },
    'a total': { ...usual, total: free, order: { total: free } }, 'a state': { ...usual, state: 'ORDER_STATE_CONFIRMED', paymentState: 'PAYMENT_STATE_PAID', version: 7, orderId: 'mine' }, 'a prototype': { ...usual, ['__proto__']: { total: free }, constructor: { prototype: { total: free } } },
    'a sku twice': { ...usual, lines: [{ sku, quantity: 1 }, { sku: other, quantity: 1 }, { sku, quantity: 2 }] },
  };
  for (const base of [edge, services.order]) {
    for (const [what, body] of Object.entries({ ...refused, ...unheard })) {
      number += 1;
      const response = await fetch(`${base}/millrace.order.v1.OrderService/PlaceOrder`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens.buyer}` }, body: JSON.stringify({ requestId: `${name}-t${number}`.slice(-64), ...body }) });
      const { order } = (await response.json()) as { order?: PlacedOrder };
      if (what in refused) tries.look(`an order with ${what}`, response.status >= 400 && response.status < 500 ? undefined : `answered ${response.status}`);
      else tries.look(`an order with ${what}`, order === undefined ? `answered ${response.status}` : asPriced(order, what === 'a sku twice' ? 4 : 1));
    }
  }
}

type PlacedOrder = { total: { minorUnits: string; currencyCode: string }; state: string; paymentState: string; version: number; lines: { quantity: number; unitPrice: { minorUnits: string } }[] };

function asPriced({ total, state, paymentState, version, lines }: PlacedOrder, units: number): string | undefined {
  const right = Number(total.minorUnits) === units * PRICE && total.currencyCode === 'EUR' && state === 'ORDER_STATE_PENDING_PAYMENT' && paymentState === 'PAYMENT_STATE_UNPAID' && version === 1 && lines.every(({ unitPrice }) => Number(unitPrice.minorUnits) === PRICE);
  return right ? undefined : `became ${JSON.stringify({ total, state, paymentState, version })}`;
}
