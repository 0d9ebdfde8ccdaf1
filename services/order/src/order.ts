// The life of an order, as functions of data: no database, no clock, no contract.

/** Where an order may go from where it stands. Another step is an error; a step to where it already stands changes nothing. */
const TRANSITIONS: Record<OrderState, readonly OrderState[]> = {
  PENDING_PAYMENT: ['CONFIRMED', 'CANCELLED'],
  CONFIRMED: ['FULFILLED', 'CANCELLED'],
  FULFILLED: [],
  CANCELLED: [],
};

export type OrderState = 'PENDING_PAYMENT' | 'CONFIRMED' | 'FULFILLED' | 'CANCELLED';
export type PaymentState =
  | 'UNPAID' | 'PROCESSING' | 'ACTION_REQUIRED' | 'FAILED' | 'PAID' | 'REFUND_PENDING' | 'PARTIALLY_REFUNDED' | 'REFUNDED' | 'DISPUTED';
export type CancelCause = 'BUYER' | 'OPERATOR' | 'EXPIRED' | 'OUT_OF_STOCK';

export type Customer = { customerId: string; name: string; email: string; phone: string };
export type Address = { name: string; line1: string; line2: string; city: string; region: string; postalCode: string; countryCode: string };
export type Quantity = { sku: string; quantity: number };
/** Money is in minor units everywhere. */
export type OrderLine = Quantity & { name: string; unitPrice: bigint };
/** Money that this service asked to be given back; open until payment says that it was. */
export type Refund = { refundId: string; amount: bigint; lines: Quantity[]; open: boolean };

/** The payment as its newest event told it; version 0 while none has. */
export type Payment = {
  version: number;
  state: 'PENDING' | 'REQUIRES_ACTION' | 'PROCESSING' | 'SUCCEEDED' | 'FAILED' | 'CANCELLED';
  captured: bigint;
  refunded: bigint;
  refundPending: bigint;
  disputed: boolean;
};

export type Order = {
  orderId: string;
  customer: Customer;
  lines: OrderLine[];
  currency: string;
  total: bigint;
  paymentMethod: string;
  shippingAddress: Address | undefined;
  note: string;
  state: OrderState;
  paymentState: PaymentState;
  payment: Payment;
  refunds: Refund[];
  stockCommitted: boolean;
  cancelCause: CancelCause | '';
  cancelReason: string;
  carrier: string;
  trackingNumber: string;
  paymentDueTime: Date;
  /** When the order should have left where it stands; undefined when it is over. */
  dueTime: Date | undefined;
  version: number;
  createTime: Date;
  updateTime: Date;
};

/** What another service says about an order. */
export type Fact =
  | { kind: 'payment'; payment: Payment; refund?: { refundId: string; given: boolean } }
  | { kind: 'stock_committed' }
  | { kind: 'shortfall' };

/** What an order waits for. */
export type Wait = 'payment' | 'sale' | 'shipment' | 'refund' | 'closing' | 'dispute' | 'decision';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** How long each wait may take before the order counts as stuck; a payment has its own deadline, the order's. */
const PATIENCE_MS: Record<Exclude<Wait, 'payment'>, number> = {
  sale: 2 * MINUTE, // one event away: normally under a second
  refund: HOUR, // one provider call away, which may be retried for a while
  closing: HOUR,
  shipment: 72 * HOUR,
  decision: 24 * HOUR,
  dispute: 7 * 24 * HOUR, // the shortest time that card networks give to answer one
};

export class IllegalTransitionError extends Error {
  readonly reason = 'ILLEGAL_TRANSITION';
  readonly metadata: Record<string, string>;
  constructor(order: Order, message: string) {
    super(message);
    this.metadata = { state: `ORDER_STATE_${order.state}`, payment_state: `PAYMENT_STATE_${order.paymentState}` };
  }
}

export class RefundTooLargeError extends Error {
  readonly reason = 'REFUND_TOO_LARGE';
  readonly metadata: Record<string, string>;
  constructor(order: Order, message = 'that is more than is left to refund') {
    super(message);
    this.metadata = { refundable: `${refundable(order)}`, currency: order.currency };
  }
}

export class StockNotCommittedError extends Error {
  readonly reason = 'STOCK_NOT_COMMITTED';
  readonly retryAfterMs = 500;
}

/** An order as it is placed: nothing paid, everything held. */
export function newOrder(placed: Pick<Order, 'orderId' | 'customer' | 'lines' | 'currency' | 'total' | 'paymentMethod' | 'shippingAddress' | 'note' | 'paymentDueTime'>, now: Date): Order {
  return {
    ...placed, state: 'PENDING_PAYMENT', paymentState: 'UNPAID', refunds: [], stockCommitted: false, cancelCause: '', cancelReason: '', carrier: '', trackingNumber: '',
    payment: { version: 0, state: 'PENDING', captured: 0n, refunded: 0n, refundPending: 0n, disputed: false },
    dueTime: placed.paymentDueTime, version: 1, createTime: now, updateTime: now,
  };
}

/** What the order is after a fact of another service; the same object when the fact is old news. */
export function hear(order: Order, fact: Fact, now: Date): Order {
  switch (fact.kind) {
    case 'payment': {
      const payment = fact.payment.version > order.payment.version ? fact.payment : order.payment;
      const refunds = fact.refund ? settle(order.refunds, fact.refund) : order.refunds;
      if (payment === order.payment && refunds === order.refunds) return order;
      const confirmed = order.state === 'PENDING_PAYMENT' && isPaid(payment, order.total);
      return step(order, { payment, refunds, ...(confirmed && { state: 'CONFIRMED' }) }, now);
    }
    case 'stock_committed':
      return order.stockCommitted ? order : step(order, { stockCommitted: true }, now);
    case 'shortfall':
      if (order.state === 'CANCELLED' || order.state === 'FULFILLED') return order;
      return step(order, { state: 'CANCELLED', cancelCause: 'OUT_OF_STOCK', cancelReason: 'paid after its hold had ended, and the stock was gone' }, now);
    default:
      return fact satisfies never;
  }
}

export function cancel(order: Order, cause: CancelCause, reason: string, now: Date): Order {
  if (order.state === 'CANCELLED') return order;
  return step(order, { state: 'CANCELLED', cancelCause: cause, cancelReason: reason }, now);
}

export function fulfill(order: Order, carrier: string, trackingNumber: string, now: Date): Order {
  if (order.state === 'FULFILLED' && order.carrier === carrier && order.trackingNumber === trackingNumber) return order;
  if (order.state !== 'CONFIRMED') throw new IllegalTransitionError(order, `an order that is ${order.state} can't be shipped`);
  if (order.payment.captured > 0n && refundable(order) === 0n) throw new IllegalTransitionError(order, "an order whose money was given back can't be shipped");
  if (!order.stockCommitted) throw new StockNotCommittedError('the stock of this order is not sold yet');
  return step(order, { state: 'FULFILLED', carrier, trackingNumber }, now);
}

/** Opens a refund of an amount, of the price of some lines, or of all that is left. */
export function requestRefund(order: Order, refundId: string, asked: { amount?: bigint; lines: Quantity[] }, now: Date): Order {
  const lines = sumUp(asked.lines);
  const refund = { refundId, amount: refundAmount(order, { ...asked, lines }), lines, open: true };
  return step(order, { refunds: [...order.refunds, refund] }, now);
}

/** What may still be given back: captured, and neither given back nor on its way. */
export function refundable(order: Order): bigint {
  const open = order.refunds.reduce((sum, refund) => (refund.open ? sum + refund.amount : sum), 0n);
  // Payment's figure holds our open refunds too, as far as it has heard of them: the larger one is nearer the truth.
  const pending = open > order.payment.refundPending ? open : order.payment.refundPending;
  const left = order.payment.captured - order.payment.refunded - pending;
  return left > 0n ? left : 0n;
}

/** One line per sku, in the order of their first appearance. */
export function sumUp(lines: Quantity[]): Quantity[] {
  const quantities = new Map<string, number>();
  for (const { sku, quantity } of lines) quantities.set(sku, (quantities.get(sku) ?? 0) + quantity);
  return [...quantities].map(([sku, quantity]) => ({ sku, quantity }));
}

// A refund that the provider refused for good is closed, and its lines may be refunded again.
function settle(refunds: Refund[], { refundId, given }: { refundId: string; given: boolean }): Refund[] {
  if (!refunds.some((refund) => refund.open && refund.refundId === refundId)) return refunds;
  return refunds.map((refund) => (refund.refundId === refundId ? { ...refund, open: false, lines: given ? refund.lines : [] } : refund));
}

function refundAmount(order: Order, asked: { amount?: bigint; lines: Quantity[] }): bigint {
  const paid = (order.state === 'CONFIRMED' || order.state === 'FULFILLED') && order.payment.captured > 0n;
  if (!paid) throw new IllegalTransitionError(order, 'only a paid order that is not cancelled can be refunded');
  const amount = asked.lines.length > 0 ? asked.lines.reduce((sum, line) => sum + linePrice(order, line), 0n) : (asked.amount ?? refundable(order));
  if (amount <= 0n || amount > refundable(order)) throw new RefundTooLargeError(order);
  return amount;
}

function linePrice(order: Order, { sku, quantity }: Quantity): bigint {
  const ordered = order.lines.find((line) => line.sku === sku);
  const before = order.refunds.flatMap((refund) => refund.lines).reduce((sum, line) => (line.sku === sku ? sum + line.quantity : sum), 0);
  if (ordered === undefined || before + quantity > ordered.quantity) {
    throw new RefundTooLargeError(order, `of ${sku} ${ordered?.quantity ?? 0} were ordered and ${before} refunded already`);
  }
  return ordered.unitPrice * BigInt(quantity);
}

/** Where the money stands: follows from what is known, never from the way it became known. */
export function paymentStateOf(order: Pick<Order, 'state' | 'payment' | 'refunds'>): PaymentState {
  const { payment, refunds } = order;
  if (payment.disputed) return 'DISPUTED';
  if (payment.captured > 0n) {
    if (payment.refunded >= payment.captured) return 'REFUNDED';
    if (order.state === 'CANCELLED' || payment.refundPending > 0n || refunds.some((refund) => refund.open)) return 'REFUND_PENDING';
    return payment.refunded > 0n ? 'PARTIALLY_REFUNDED' : 'PAID';
  }
  switch (payment.state) {
    case 'PENDING':
    case 'CANCELLED':
      return 'UNPAID';
    case 'REQUIRES_ACTION':
      return 'ACTION_REQUIRED';
    case 'PROCESSING':
    case 'FAILED':
      return payment.state;
    case 'SUCCEEDED': // an order for nothing
      return order.state === 'CANCELLED' ? 'REFUNDED' : 'PAID';
    default:
      return payment.state satisfies never;
  }
}

/** What the order waits for; undefined when it is over. */
export function waitOf(order: Pick<Order, 'state' | 'paymentState' | 'stockCommitted'>): Wait | undefined {
  if (order.state === 'PENDING_PAYMENT') return 'payment';
  if (order.paymentState === 'REFUND_PENDING') return 'refund';
  if (order.paymentState === 'DISPUTED') return 'dispute';
  if (order.paymentState === 'PROCESSING' || order.paymentState === 'ACTION_REQUIRED') return 'closing';
  if (order.state !== 'CONFIRMED') return undefined;
  if (order.paymentState === 'REFUNDED') return 'decision';
  return order.stockCommitted ? 'shipment' : 'sale';
}

function isPaid(payment: Payment, total: bigint): boolean {
  return payment.captured >= total && (payment.captured > 0n || payment.state === 'SUCCEEDED');
}

// The one way an order changes: checks the step, derives what follows from it, and counts it when somebody outside can see it.
function step(order: Order, change: Partial<Order>, now: Date): Order {
  const next = { ...order, ...change };
  if (next.state !== order.state && !TRANSITIONS[order.state].includes(next.state)) {
    throw new IllegalTransitionError(order, `an order that is ${order.state} can't become ${next.state}`);
  }
  next.paymentState = paymentStateOf(next);
  const wait = waitOf(next);
  if (wait === undefined) next.dueTime = undefined;
  else if (wait === 'payment') next.dueTime = next.paymentDueTime;
  else if (wait !== waitOf(order)) next.dueTime = new Date(now.getTime() + PATIENCE_MS[wait]);
  const seen = next.state !== order.state || next.paymentState !== order.paymentState || next.payment.refunded !== order.payment.refunded || next.refunds.length !== order.refunds.length;
  // A transaction that waited for the row's lock began before the change it waited for.
  const updateTime = now > order.updateTime ? now : order.updateTime;
  return seen ? { ...next, version: order.version + 1, updateTime } : next;
}
