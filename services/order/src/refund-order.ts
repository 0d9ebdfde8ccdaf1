// Asks payment to give money of a paid order back, and inventory to take stock back.
import type { Caller } from '@millrace/chassis/api/auth';
import { refuse } from '@millrace/chassis/api/errors';
import { crashPoint } from '@millrace/chassis/crash-point';
import type { Tx } from '@millrace/chassis/database/db';
import { theirs } from './access.ts';
import { refundRequested } from './announce.ts';
import { refundIdOf } from './order-id.ts';
import { type Order, type Quantity, requestRefund } from './order.ts';
import type { Money } from './pricing.ts';
import type { Recorder } from './record.ts';
import { lockOrders } from './store.ts';

export type RefundRequest = { orderId: string; amount: Money | undefined; lines: Quantity[]; restock: boolean; reason: string; requestId: string };

export async function refundOrder(tx: Tx, record: Recorder, caller: Caller, request: RefundRequest): Promise<Order> {
  const { orderId, amount } = request;
  const { orders, now } = await lockOrders(tx, [orderId]);
  const order = theirs(caller, orderId, orders.get(orderId));
  if (amount && amount.currency !== order.currency) throw refuse('INVALID_FIELD', `amount: the order is in ${order.currency}, not in ${amount.currency}`);
  const refundId = refundIdOf(orderId, caller.subject, request.requestId);
  const next = requestRefund(order, refundId, { amount: amount?.amount, lines: request.lines }, now);
  const refund = next.refunds.find((candidate) => candidate.refundId === refundId);
  if (refund === undefined) throw new Error(`refund ${refundId} was not opened`);
  const restock = request.restock ? goodsOf(refund.lines.length > 0 ? refund.lines : order.lines) : [];
  await record(tx, { orders: [next], entries: [refundRequested(next, refund, restock, request.reason, caller.subject)] });
  crashPoint('refund.recorded');
  return next;
}

function goodsOf(lines: Quantity[]): Quantity[] {
  return lines.map(({ sku, quantity }) => ({ sku, quantity }));
}
