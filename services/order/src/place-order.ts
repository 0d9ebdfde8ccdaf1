// Takes an order: prices, hold, insert. Each step is shared by all calls of the moment, and a refused order fails alone.
import type { Caller } from '@millrace/chassis/api/auth';
import { refuse } from '@millrace/chassis/api/errors';
import { crashPoint } from '@millrace/chassis/crash-point';
import type { Database } from '@millrace/chassis/database/db';
import { fingerprint } from '@millrace/chassis/database/requests';
import { createBatcher } from '@millrace/chassis/flow/batcher';
import { PlaceOrderRequestSchema, type PlaceOrderRequest } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { customerIdFor } from './access.ts';
import { placed } from './announce.ts';
import type { createNeighbours } from './neighbours.ts';
import { orderIdOf } from './order-id.ts';
import { newOrder, type Order } from './order.ts';
import { findPlaced, insertOrders, loadOrders, type NewOrder, type RequestKey } from './store.ts';
import { addressOf, amountOf } from './wire.ts';

export type PlaceOrderOptions = {
  db: Database;
  neighbours: ReturnType<typeof createNeighbours>;
  /** How long an order may stay unpaid, and how much longer its stock is held. */
  paymentWindowMs: number;
  holdGraceMs: number;
};

/** Calls that may wait for a step; at a thousand orders a second that is about two seconds of them. */
const QUEUE_LIMIT = 2_000;
const LOOK_UPS = { name: 'look-up', lanes: 2, max: 500, queueLimit: QUEUE_LIMIT };
/** What a batch costs besides its orders is more than what a second one would gain while this one's commit reaches the disk. */
const INSERTS = { name: 'insert', lanes: 1, max: 200, queueLimit: QUEUE_LIMIT };

export function createPlaceOrder({ db, neighbours, paymentWindowMs, holdGraceMs }: PlaceOrderOptions) {
  const lookUp = createBatcher<RequestKey, string | null>(LOOK_UPS, (keys) => findPlaced(db, keys));
  const insert = createBatcher<NewOrder, Date | 'taken'>(INSERTS, (orders) => insertAll(db, orders));

  return async function placeOrder(caller: Caller, request: PlaceOrderRequest): Promise<Order> {
    const customerId = customerIdFor(caller, request.customer?.customerId ?? '');
    const key = { placedBy: caller.subject, requestId: request.requestId };
    const orderId = orderIdOf(key.placedBy, key.requestId, fingerprint(PlaceOrderRequestSchema, request));
    try {
      const order = await priceAndHold(orderId, customerId, request);
      crashPoint('place.held');
      // From here on the outcome may be unknown: the hold is left to end by itself, and a repeat finds it again.
      const createTime = await insert({ order, ...key });
      crashPoint('place.inserted');
      if (createTime !== 'taken') return { ...order, createTime, updateTime: createTime };
    } catch (error) {
      // Repeats are rare, so only what did not go through is looked up: whatever prices and stock are by now, a repeat gets its order.
      const known = await lookUp(key).catch(() => null);
      crashPoint('place.looked_up');
      if (known === null) throw error;
      return repeat(key, known, orderId);
    }
    const winner = await lookUp(key);
    if (winner === null) throw new Error(`order ${orderId} was neither stored nor there`);
    if (winner !== orderId) await neighbours.release(orderId);
    return repeat(key, winner, orderId);
  };

  /** Holding again what is held changes nothing, so a repeat may come this far too. */
  async function priceAndHold(orderId: string, customerId: string, request: PlaceOrderRequest): Promise<Order> {
    const priced = await neighbours.prices.price(request.lines, amountOf(request.expectedTotal));
    crashPoint('place.priced');
    const now = db.clock.now();
    const paymentDueTime = new Date(now.getTime() + paymentWindowMs);
    await neighbours.reserve({ orderId, lines: priced.lines, holdUntil: new Date(paymentDueTime.getTime() + holdGraceMs) });
    const { name = '', email = '', phone = '' } = request.customer ?? {};
    return newOrder({
      ...priced, orderId, customer: { customerId, name, email, phone }, paymentMethod: request.paymentMethod,
      shippingAddress: addressOf(request.shippingAddress), note: request.note, paymentDueTime,
    }, now);
  }

  async function repeat({ requestId }: RequestKey, known: string, orderId: string): Promise<Order> {
    // The id holds the fingerprint of the body: another id is another body.
    if (known !== orderId) throw refuse('REQUEST_ID_REUSED', 'this request id was used with another body', { request_id: requestId });
    const order = (await loadOrders(db, [orderId])).get(orderId);
    if (order === undefined) throw new Error(`order ${orderId} is gone`);
    return order;
  }
}

async function insertAll(db: Database, orders: NewOrder[]): Promise<(Date | 'taken')[]> {
  // Twins of one request may be in one batch: the first of them has the row, the others come too late.
  const firsts = new Map(orders.toReversed().map((item) => [item.order.orderId, item]));
  const items = [...firsts.values()];
  const stored = await insertOrders(db, items, items.map(({ order, placedBy }) => placed(order, placedBy)));
  const [createTime] = stored.values();
  if (createTime !== undefined) db.clock.saw(createTime);
  return orders.map((item) => (firsts.get(item.order.orderId) === item ? (stored.get(item.order.orderId) ?? 'taken') : 'taken'));
}
