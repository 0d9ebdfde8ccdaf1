// Ordinary reads: one payment, lists with filters and stable pages.
import type { Caller } from '@millrace/chassis/api/auth';
import { refuse } from '@millrace/chassis/api/errors';
import { decodePageToken, encodePageToken, pageLimit } from '@millrace/chassis/api/pages';
import type { Payment as PaymentRow, PrismaClient, Refund as RefundRow } from '@millrace/gen/prisma/payment/client.ts';
import type { PaymentState } from './payment.ts';

type Page = { pageSize: number; pageToken: string };
type Cursor = { time: Date; id: string };

/** Operators and back ends may see everybody's. */
export function isTheirs(caller: Caller, { customerId }: { customerId: string }): boolean {
  return caller.role !== 'buyer' || customerId === caller.subject;
}

/** Somebody else's payment and none are the same NOT_FOUND. */
export async function getPayment(prisma: PrismaClient, orderId: string, caller: Caller): Promise<PaymentRow> {
  const row = await prisma.payment.findUnique({ where: { orderId } });
  if (!row || !isTheirs(caller, row)) throw refuse('NOT_FOUND', `there is no payment of order ${orderId}`);
  return row;
}

/** Newest first. Indexes: payment_create_time_payment_id_idx, payment_state_create_time_payment_id_idx. */
export async function listPayments(prisma: PrismaClient, { states, pageSize, pageToken }: Page & { states: PaymentState[] }): Promise<{ payments: PaymentRow[]; nextPageToken: string }> {
  const limit = pageLimit(pageSize);
  const scope = JSON.stringify(['ListPayments', states]);
  const before = decodePageToken<Cursor>(scope, pageToken);
  const rows = await prisma.payment.findMany({
    where: {
      ...(states.length > 0 && { state: { in: states } }),
      ...(before && { createTime: { lte: before.time }, NOT: { createTime: before.time, paymentId: { gte: before.id } } }),
    },
    orderBy: [{ createTime: 'desc' }, { paymentId: 'desc' }],
    take: limit + 1,
  });
  const payments = rows.slice(0, limit);
  const last = payments.at(-1);
  return { payments, nextPageToken: last && rows.length > limit ? encodePageToken(scope, { time: last.createTime, id: last.paymentId } satisfies Cursor) : '' };
}

/** Oldest first. Index: refund_order_id_create_time_refund_id_idx. */
export async function listRefunds(prisma: PrismaClient, { orderId, pageSize, pageToken }: Page & { orderId: string }): Promise<{ refunds: RefundRow[]; nextPageToken: string }> {
  const limit = pageLimit(pageSize);
  const scope = JSON.stringify(['ListRefunds', orderId]);
  const after = decodePageToken<Cursor>(scope, pageToken);
  const rows = await prisma.refund.findMany({
    where: { orderId, ...(after && { createTime: { gte: after.time }, NOT: { createTime: after.time, refundId: { lte: after.id } } }) },
    orderBy: [{ createTime: 'asc' }, { refundId: 'asc' }],
    take: limit + 1,
  });
  const refunds = rows.slice(0, limit);
  const last = refunds.at(-1);
  return { refunds, nextPageToken: last && rows.length > limit ? encodePageToken(scope, { time: last.createTime, id: last.refundId } satisfies Cursor) : '' };
}
