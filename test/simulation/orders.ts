// Order's rows and calls around its pure decisions, and the buyers who call: they ask again with the same request id when they don't know.
import type { Order, Quantity } from '../../services/order/src/order.ts';
import type { Priced } from '../../services/order/src/pricing.ts';
import type { Opening } from '../../services/payment/src/payment.ts';
import type { Catalogue, Inventory } from './inventory.ts';
import { type Accident, earliest, type Go, isRefusal, MINUTE, NEVER, type SimEvent, type Stage } from './stage.ts';

export const PAYMENT_WINDOW_MS = 30 * MINUTE;
export const HOLD_GRACE_MS = 5 * MINUTE;
/** What each buyer wants; together more than there may be. */
const BASKETS: readonly Quantity[][] = [[{ sku: 'MUG', quantity: 3 }, { sku: 'CUP', quantity: 1 }], [{ sku: 'MUG', quantity: 2 }]];
export const BUYERS = BASKETS.length;

/** A buyer's request to place an order, by request id. `body`: another one is another order. */
export type Entry = { key: string; buyer: number; body: number; paymentMethod: string; outcome: 'unknown' | 'ok' | 'fail'; orderId: string };
type RefundCall = { orderId: string; requestId: string; amount?: bigint; lines: Quantity[]; restock: boolean };

const orderIdOf = ({ buyer, body }: Entry): string => `ord_${buyer}_${body}`;

export type Orders = ReturnType<typeof createOrders>;

export function createOrders(stage: Stage, catalogue: Catalogue, inventory: Inventory) {
  const { order: rules, house } = stage.rules;
  const orders = new Map<string, Order>();
  const placed = new Map<string, string>();
  const journal: Entry[] = [];
  /** Every change of an order that was written. */
  const edges: { orderId: string; edge: string; from: number; to: number }[] = [];
  const answered = new Set<string>();
  const refundCalls: RefundCall[] = [];

  /** Writes an order, and says what follows from it, in one transaction. */
  function become(before: Order | undefined, after: Order): void {
    if (after === before) return;
    orders.set(after.orderId, after);
    edges.push({ orderId: after.orderId, edge: before?.state === after.state ? '' : `${before?.state ?? ''}>${after.state}`, from: before?.version ?? 0, to: after.version });
    if (before?.state === after.state) return;
    const { orderId } = after;
    if (after.state === 'PENDING_PAYMENT') stage.say('order', { type: 'placed', orderId });
    else if (after.state === 'CANCELLED') stage.say('order', { type: 'cancelled', orderId, cause: after.cancelCause });
    else stage.say('order', { type: after.state === 'CONFIRMED' ? 'confirmed' : 'fulfilled', orderId });
  }

  function hear(event: SimEvent): void {
    const before = 'orderId' in event ? orders.get(event.orderId) : undefined;
    if (before === undefined) return;
    switch (event.type) {
      case 'payment': {
        const { payment: { version, state, captured, refunded, refundPending, disputed }, refund } = event.told;
        return become(before, rules.hear(before, { kind: 'payment', payment: { version, state, captured, refunded, refundPending, disputed }, ...(refund && { refund: { refundId: refund.id, given: refund.amount > 0n } }) }, stage.date));
      }
      case 'committed': return become(before, rules.hear(before, { kind: 'stock_committed' }, stage.date));
      case 'shortfall': return become(before, rules.hear(before, { kind: 'shortfall' }, stage.date));
      default:
    }
  }

  /** A step of a call: what is refused is looked up, for it may have been done for the call before. An accident on the way leaves the buyer without an answer. */
  function step(entry: Entry, work: () => ReturnType<Go>): ReturnType<Go> {
    try {
      return work();
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return placed.has(entry.key) ? repeat(entry) : refuse(entry, error.reason);
    }
  }

  function refuse(entry: Entry, reason: string): undefined {
    stage.note(() => `${entry.key}: refused, ${reason}`);
    // Inventory has not heard of the product yet: order says that it is late, and the buyer comes back.
    // Of a call that is still under way elsewhere, a refusal of its repeat says nothing.
    if (reason === 'UNKNOWN_SKU' || stage.tasks.filter(({ name }) => name.endsWith(` ${entry.key}`)).length > 1) return;
    entry.outcome = 'fail';
  }

  function repeat(entry: Entry): ReturnType<Go> {
    const winner = placed.get(entry.key);
    return winner === orderIdOf(entry) ? answer(entry, winner) : refuse(entry, 'REQUEST_ID_REUSED');
  }

  function answer(entry: Entry, orderId: string): ReturnType<Go> {
    return { name: `answer ${entry.key}`, go: (accident) => {
      if (accident === 'none') Object.assign(entry, { outcome: 'ok', orderId });
      return undefined;
    } };
  }

  /** Prices, hold, insert, answer: each a step of its own. */
  function place(entry: Entry): void {
    const { key, buyer, body } = entry;
    stage.begin('order', `prices for ${key}`, () => step(entry, () => {
      const products = new Map([...catalogue.products()].map(([sku, { name, price, state }]) => [sku, { sku, name, price: { currency: price.currencyCode, amount: price.minorUnits }, archived: state === 'ARCHIVED' }]));
      const priced = rules.priceLines((BASKETS[buyer] as Quantity[]).map(({ sku, quantity }) => ({ sku, quantity: quantity + body })), products);
      return { name: `hold for ${key}`, go: (accident) => step(entry, () => hold(entry, priced, accident)) };
    }));
  }

  function hold(entry: Entry, priced: Priced, accident: Accident): ReturnType<Go> {
    const now = stage.date;
    const paymentDueTime = new Date(stage.now + PAYMENT_WINDOW_MS);
    const wish = { orderId: orderIdOf(entry), lines: priced.lines.map(({ sku, quantity }) => ({ sku, quantity })), holdUntil: new Date(stage.now + PAYMENT_WINDOW_MS + HOLD_GRACE_MS), actor: 'order' };
    if (accident !== 'unreached' && accident !== 'busy') inventory.hold(wish);
    if (accident !== 'none') return undefined;
    return { name: `insert ${entry.key}`, go: () => insert(entry, { ...priced, paymentDueTime }, now) };
  }

  function insert(entry: Entry, priced: Priced & { paymentDueTime: Date }, now: Date): ReturnType<Go> {
    const { key, buyer, paymentMethod } = entry;
    const orderId = orderIdOf(entry);
    if (placed.has(key)) {
      if (placed.get(key) !== orderId) inventory.release(orderId);
      return repeat(entry);
    }
    placed.set(key, orderId);
    const customer = { customerId: `c${buyer}`, name: '', email: `c${buyer}@example.com`, phone: buyer === 0 ? '+49170' : '' };
    become(undefined, rules.newOrder({ ...priced, orderId, customer, paymentMethod, shippingAddress: undefined, note: '' }, now));
    return answer(entry, orderId);
  }

  /** A refusal leaves no trace. */
  function attempt(orderId: string, effect: (order: Order) => void): boolean {
    const order = orders.get(orderId);
    if (order === undefined) return false;
    try {
      effect(order);
      return true;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return false;
    }
  }

  /** Its effect comes once per request id: the answer is remembered with it. */
  function refund({ requestId, orderId, lines, restock, amount }: RefundCall): void {
    if (house.requestMemory && answered.has(requestId)) return;
    const done = attempt(orderId, (order) => {
      // Without that memory a repeat is a request like any other.
      const refundId = answered.has(requestId) ? `${requestId}_again_${order.version}` : requestId;
      const next = rules.requestRefund(order, refundId, { ...(amount !== undefined && { amount }), lines }, stage.date);
      const made = next.refunds.at(-1) as Order['refunds'][number];
      const goods = made.lines.length > 0 ? made.lines : order.lines.map(({ sku, quantity }) => ({ sku, quantity }));
      become(order, next);
      stage.say('order', { type: 'refund_requested', orderId, refundId, amount: made.amount, restock: restock ? goods : [] });
    });
    if (done) answered.add(requestId);
  }

  const nextDue = (): number => earliest(orders.values(), dueOf);

  return {
    hear, journal, edges, refundCalls,
    all: () => [...orders.values()],
    get: (orderId: string) => orders.get(orderId),
    /** A buyer's first try; `body` 1 uses the same request id for another basket. */
    order(buyer: number, body: number, paymentMethod: string): void {
      const key = `key_${buyer}`;
      if (journal.some((entry) => entry.key === key && entry.body === body)) return;
      const entry: Entry = { key, buyer, body, paymentMethod, outcome: 'unknown', orderId: '' };
      journal.push(entry);
      place(entry);
    },
    /** Whoever does not know asks again. */
    retry(pick: number): boolean {
      const unknown = journal.filter(({ outcome }) => outcome === 'unknown');
      const entry = unknown[pick % unknown.length];
      if (entry) place(entry);
      return entry !== undefined;
    },
    cancel: (orderId: string) => void attempt(orderId, (order) => become(order, rules.cancel(order, 'BUYER', 'because', stage.date))),
    fulfill: (orderId: string) => void attempt(orderId, (order) => become(order, rules.fulfill(order, 'DHL', '1', stage.date))),
    /** All that is left, a part, or the price of one unit of each line. */
    refund(orderId: string, kind: number, restock: boolean): void {
      const order = orders.get(orderId);
      if (order === undefined) return;
      const lines = kind === 2 ? order.lines.map(({ sku }) => ({ sku, quantity: 1 })) : [];
      const call: RefundCall = { orderId, requestId: `ref_${refundCalls.length + 1}`, lines, restock, ...(kind === 1 && { amount: 100n }) };
      refundCalls.push(call);
      refund(call);
    },
    /** The same request once more. */
    repeatRefund(pick: number): void {
      const call = refundCalls[pick % refundCalls.length];
      if (call) refund(call);
    },
    expire(): boolean {
      if (nextDue() > stage.now) return false;
      for (const order of orders.values()) {
        if (dueOf(order) <= stage.now) become(order, rules.cancel(order, 'EXPIRED', 'not paid in time', stage.date));
      }
      return true;
    },
    nextDue,
    openingOf(orderId: string): Opening {
      const order = orders.get(orderId) as Order;
      return { orderId, customerId: order.customer.customerId, amount: order.total, currency: order.currency, paymentMethod: order.paymentMethod, dueTime: order.paymentDueTime };
    },
  };
}

/** A millisecond after the time to pay: a deadline is met to the last instant. */
const dueOf = ({ state, paymentDueTime }: Order): number => (state === 'PENDING_PAYMENT' ? paymentDueTime.getTime() + 1 : NEVER);
