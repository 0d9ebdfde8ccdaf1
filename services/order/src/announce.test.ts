import { expect, test } from 'vitest';
import { moved, placed, refundRequested } from './announce.ts';
import { cancel, newOrder } from './order.ts';

const CARD = '4242 4242 4242 4242';
const NOW = new Date('2026-11-23T12:00:00Z');
const order = newOrder({
  orderId: 'ord_1', customer: { customerId: 'ann', name: `Ann ${CARD}`, email: 'ann@example.com', phone: '' }, lines: [{ sku: 'MUG', name: 'A mug', quantity: 1, unitPrice: 1_250n }], currency: 'EUR', total: 1_250n,
  paymentMethod: '', shippingAddress: undefined, note: '', paymentDueTime: NOW,
}, NOW);
const refund = { refundId: 'ref_1', amount: 1n, lines: [], open: true };

test.each([
  ['orders.placed', placed(order, 'ann')],
  ['orders.cancelled', moved(order, cancel(order, 'BUYER', `stop ${CARD}`, NOW), 'ann')[0]],
  ['orders.refund_requested', refundRequested(order, refund, [], `back to ${CARD}`, 'ann')],
])('%s tells no card number that somebody typed', (subject, announcement) => {
  expect(announcement?.event.subject).toBe(`${subject}.ord_1`);
  expect(announcement?.event.body).toContain('[card]');
  expect(announcement?.event.body).not.toContain(CARD);
});
