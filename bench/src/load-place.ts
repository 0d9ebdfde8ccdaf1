// Orders as a back end places them.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { OrderService, type PlaceOrderRequestSchema } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { type Load, closedLoop, openLoop, transports } from './load.ts';

export type Basket = {
  /** Skus are `<prefix>-0` … `<prefix>-<skus - 1>`. */
  prefix: string;
  skus: number;
  lines: number;
};

export type PlaceTask = Basket & {
  url: string;
  token: string;
  /** Begins every request id of this task. */
  run: string;
  clients: number;
  ms: number;
  calls?: number;
  /** Orders are paid at once with this one. */
  paymentMethod?: string;
  /** Makes it an open loop: orders a second. */
  rate?: number;
};

export async function runPlace(task: PlaceTask): Promise<Load> {
  const clients = transports(task.url, task.token).map((transport) => createClient(OrderService, transport));
  const place = async (n: number) => clients[n % clients.length]?.placeOrder(newRequest(task, task.run, n, task.paymentMethod));
  return task.rate === undefined ? closedLoop(task, place) : openLoop({ rate: task.rate, ms: task.ms }, place);
}

/** A few hundred bytes, as a shop would send them. */
export function newRequest(basket: Basket, run: string, n: number, paymentMethod = ''): MessageInitShape<typeof PlaceOrderRequestSchema> {
  const first = Math.floor(Math.random() * basket.skus);
  return {
    requestId: `${run}-${n}`,
    customer: { customerId: `customer-${n % 10_000}`, name: 'Ada Example', email: `ada.${n % 10_000}@example.com` },
    lines: Array.from({ length: basket.lines }, (_, i) => ({ sku: `${basket.prefix}-${(first + i * 7) % basket.skus}`, quantity: 1 })),
    paymentMethod,
    shippingAddress: { name: 'Ada Example', line1: 'Mill Lane 1', city: 'Cambridge', postalCode: 'CB1 1AA', countryCode: 'GB' },
  };
}
