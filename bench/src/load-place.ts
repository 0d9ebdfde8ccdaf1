// Orders as a back end places them.
import { randomUUIDv7 } from 'node:crypto';
import { type MessageInitShape, create, fromBinary, toBinary, toJsonString } from '@bufbuild/protobuf';
import { PlaceOrderRequestSchema } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { createCaller } from './caller.ts';
import { CURRENCY, priceOf } from './load-import.ts';
import { type Load, closedLoop, openLoop } from './load.ts';
import type { ProtocolName } from './protocols.ts';

export type Basket = {
  /** Skus are `<prefix>-0` … `<prefix>-<skus - 1>`. */
  prefix: string;
  skus: number;
  lines: number;
};

export type PlaceTask = Basket & {
  url: string;
  token: string;
  /** Stands on every order of this task as its note. */
  run: string;
  clients: number;
  ms: number;
  calls?: number;
  /** Orders are paid at once with this one. */
  paymentMethod?: string;
  /** Makes it an open loop: orders a second. */
  rate?: number;
  /** Connect's, in binary, if it isn't said. */
  protocol?: ProtocolName;
};

export const PLACE_ORDER = '/millrace.order.v1.OrderService/PlaceOrder';

/** Answers are not taken apart: the audit compares how many were good with what is stored. */
export async function runPlace(task: PlaceTask): Promise<Load> {
  const caller = createCaller(task.url, task.token, task.protocol);
  const request = createRequests(task, task.run, task.paymentMethod);
  const asJson = (bytes: Uint8Array) => Buffer.from(toJsonString(PlaceOrderRequestSchema, fromBinary(PlaceOrderRequestSchema, bytes)));
  const place = (n: number) => caller.call(PLACE_ORDER, task.protocol === 'JSON' ? asJson(request(n)) : request(n));
  return (task.rate === undefined ? closedLoop(task, place) : openLoop({ rate: task.rate, ms: task.ms }, place)).finally(caller.close);
}

const CUSTOMERS = 10_000;

/**
 * A few hundred bytes each, as a shop would send them. Encoded in pieces that are made once (a message is the sum of its encoded fields,
 * whichever way they are cut), so that an order costs its client a copy.
 */
export function createRequests(basket: Basket, run: string, paymentMethod = ''): (n: number) => Uint8Array {
  const [customers, products, totals] = [new Map<number, Uint8Array>(), new Map<number, Uint8Array>(), new Map<number, Uint8Array>()];
  const made = (pieces: Map<number, Uint8Array>, key: number, make: () => Uint8Array) => {
    const piece = pieces.get(key) ?? make();
    pieces.set(key, piece);
    return piece;
  };
  const shared = piece({ paymentMethod, note: run, shippingAddress: { name: 'Ada Example', line1: 'Mill Lane 1', city: 'Cambridge', postalCode: 'CB1 1AA', countryCode: 'GB' } });
  const customer = (n: number) => made(customers, n, () => piece({ customer: { customerId: `customer-${n}`, name: 'Ada Example', email: `ada.${n}@example.com` } }));
  const line = (sku: number) => made(products, sku, () => piece({ lines: [{ sku: `${basket.prefix}-${sku}`, quantity: 1 }] }));
  // As a storefront does: the buyer pays what the page showed, or hears that it has changed.
  const agreed = (total: number) => made(totals, total, () => piece({ expectedTotal: { currencyCode: CURRENCY, minorUnits: BigInt(total) } }));
  return (n) => {
    const first = Math.floor(Math.random() * basket.skus);
    const skus = Array.from({ length: basket.lines }, (_, i) => (first + i * 7) % basket.skus);
    const total = skus.reduce((sum, sku) => sum + priceOf(sku), 0);
    return Buffer.concat([piece({ requestId: randomUUIDv7() }), customer(n % CUSTOMERS), ...skus.map(line), agreed(total), shared]);
  };
}

function piece(fields: MessageInitShape<typeof PlaceOrderRequestSchema>): Uint8Array {
  return toBinary(PlaceOrderRequestSchema, create(PlaceOrderRequestSchema, fields));
}
