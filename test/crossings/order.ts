// Order: what payment and inventory tell, and what people and clocks do meanwhile.
import { cancel, fulfill, hear, newOrder, type Order, type Payment, requestRefund } from '../../services/order/src/order.ts';
import { crossing, type Happening } from './crossing.ts';

const NOW = new Date('2026-01-01T00:00:00Z');
const TOTAL = 1_500n;
const PART = 500n;

/** One life of a payment: its events in the order of their versions. */
const paid = (version: number, more: Partial<Payment> = {}): Payment => ({ version, state: 'SUCCEEDED', captured: TOTAL, refunded: 0n, refundPending: 0n, disputed: false, ...more });
const unpaid = (version: number, state: Payment['state']): Payment => ({ version, state, captured: 0n, refunded: 0n, refundPending: 0n, disputed: false });
const tells = (payment: Payment, refund?: { refundId: string; given: boolean }): Happening<Order> => (order) => hear(order, { kind: 'payment', payment, ...(refund && { refund }) }, NOW);

const SUCCEEDED = tells(paid(4));
const COMMITTED: Happening<Order> = (order) => hear(order, { kind: 'stock_committed' }, NOW);
const SHIPPED: Happening<Order> = (order) => fulfill(order, 'DHL', '1', NOW);
const CANCELLED: Happening<Order> = (order) => cancel(order, 'BUYER', 'because', NOW);
const REFUND: Happening<Order> = (order) => (order.refunds.some(({ refundId }) => refundId === 'r1') ? order : requestRefund(order, 'r1', { amount: PART, lines: [] }, NOW));

const placed = (): Order => newOrder({
  orderId: 'ord_1', customer: { customerId: 'c', name: '', email: '', phone: '' }, currency: 'EUR', total: TOTAL, paymentMethod: '', note: '', shippingAddress: undefined, paymentDueTime: NOW,
  lines: [{ sku: 'MUG', name: 'Mug', quantity: 3, unitPrice: 500n }],
}, NOW);
const after = (...happenings: Happening<Order>[]) => () => happenings.reduce((order, happen) => happen(order), placed());

export const CROSSING = crossing<Order>({
  service: 'order',
  starts: {
    'an unpaid order': placed,
    'a confirmed order': after(SUCCEEDED),
    'a sold order': after(SUCCEEDED, COMMITTED),
    'a sold order with a refund on its way': after(SUCCEEDED, COMMITTED, REFUND),
    'a shipped order': after(SUCCEEDED, COMMITTED, SHIPPED),
    'an order that was cancelled unpaid': after(CANCELLED),
    'an order that was cancelled when it was paid': after(SUCCEEDED, CANCELLED),
  },
  happenings: {
    'the payment fails': tells(unpaid(2, 'FAILED')),
    'the bank asks the buyer': tells(unpaid(3, 'REQUIRES_ACTION')),
    'the payment succeeds': SUCCEEDED,
    'a part is given back': tells(paid(5, { refunded: PART }), { refundId: 'r1', given: true }),
    'the refund of a part is refused': tells(paid(5), { refundId: 'r1', given: false }),
    'the buyer disputes it': tells(paid(6, { refunded: PART, disputed: true })),
    'the dispute is closed': tells(paid(7, { refunded: PART })),
    'the stock is sold': COMMITTED,
    'the stock is gone': (order) => hear(order, { kind: 'shortfall' }, NOW),
    'the buyer cancels': CANCELLED,
    'the time to pay is over': (order) => (order.state === 'PENDING_PAYMENT' ? cancel(order, 'EXPIRED', '', NOW) : order),
    'a part is to be refunded': REFUND,
    'an operator ships it': SHIPPED,
  },
  // The answer to a refund comes after it was asked for, and there is one; who has sold the stock does not miss it.
  instead: [['a part is to be refunded', 'a part is given back', 'the refund of a part is refused'], ['the stock is sold', 'the stock is gone']],
  endOf: ({ state, paymentState, stockCommitted, payment, refunds }) => ({ state, paymentState, stockCommitted, payment, open: refunds.filter(({ open }) => open).length }),
  races: [
    ...['the payment succeeds', 'a part is given back', 'the refund of a part is refused', 'the buyer disputes it', 'the dispute is closed'].map((what) => ({
      of: [what, 'the time to pay is over'] as const, starts: ['an unpaid order'], why: 'who pays in time keeps the order, who pays late gets the money back',
    })),
    ...['the buyer cancels', 'the stock is gone'].map((what) => ({
      of: [what, 'an operator ships it'] as const, starts: ['a sold order', 'a sold order with a refund on its way'], why: 'what has left the house is not cancelled, and what is cancelled is not shipped',
    })),
    ...['the buyer cancels', 'the stock is gone'].map((what) => ({
      of: [what, 'a part is to be refunded'] as const, starts: ['a confirmed order', 'a sold order'], why: 'a cancelled order gives everything back, so a refund of a part is only open when it came first',
    })),
  ],
});
