// What happened to an order in all services, and what it waits for, in words.
import type { PrismaClient } from '@millrace/gen/prisma/order/client.ts';
import { type Order, type Wait, waitOf } from './order.ts';
import type { TimelineEntry } from './store.ts';

/** More happens to no order; and one that was attacked must still be readable. */
const MAX_ENTRIES = 1_000;

/** Oldest first. */
export async function timelineOf(prisma: PrismaClient, orderId: string): Promise<TimelineEntry[]> {
  const rows = await prisma.timeline.findMany({ where: { orderId }, orderBy: [{ time: 'asc' }, { position: 'asc' }], take: MAX_ENTRIES });
  return rows.map((row) => ({ ...row, detail: row.detail as Record<string, string> }));
}

/** What the order waits for; empty when it is over. */
export function waitingFor(order: Order): string {
  const wait = waitOf(order);
  return wait === undefined ? '' : WORDS[wait](order);
}

const WORDS: Record<Wait, (order: Order) => string> = {
  payment: paymentWords,
  sale: () => 'inventory to book the sale of its stock',
  shipment: () => 'an operator to ship it',
  refund: () => 'the payment provider to give the money back',
  closing: () => 'the payment to be called off at the provider',
  dispute: () => "the buyer's bank to decide the dispute",
  decision: () => 'an operator to cancel it: its money was given back',
};

function paymentWords({ paymentState, paymentMethod, payment }: Order): string {
  if (paymentState === 'PROCESSING') return "the payment provider's answer; then it is cancelled";
  if (paymentState === 'ACTION_REQUIRED') return 'the buyer to confirm the payment with their bank; then it is cancelled';
  if (paymentState === 'FAILED') return 'the buyer to try to pay again; then it is cancelled';
  if (payment.version === 0 && paymentMethod !== '') return 'the payment to be made with the given payment method; then it is cancelled';
  return 'the buyer to pay; then it is cancelled';
}
