// PaymentService on the wire: translates, and runs each change once per request id.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ConnectRouter } from '@connectrpc/connect';
import { callerOf } from '@millrace/chassis/api/auth';
import { refuse } from '@millrace/chassis/api/errors';
import type { Database } from '@millrace/chassis/database/db';
import { createOnce } from '@millrace/chassis/database/requests';
import type { Log } from '@millrace/chassis/telemetry/log';
import { PaymentService, PaymentState, RefundState, type PaymentSchema, type RefundSchema } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import type { Payment as PaymentRow, PrismaClient, Refund as RefundRow } from '@millrace/gen/prisma/payment/client.ts';
import type { Advance } from './advance-payment.ts';
import { awaitAnswer, awaitPayment, recordAttempt } from './confirm-payment.ts';
import { type PaymentState as State, type RefundState as Refunded, isFinal } from './payment.ts';
import { getPayment, listPayments, listRefunds } from './read-payments.ts';
import type { Reconcile } from './reconcile.ts';
import { refundPayment } from './refund-payment.ts';
import { money } from './tell.ts';

export type Payments = { db: Database; log: Log; prisma: PrismaClient; advance: Advance; reconcile: Reconcile; wake: () => void };

/** Without a deadline of the caller's own. */
const DEFAULT_WAIT_MS = 30_000;
const DAY_MS = 86_400_000;

export function paymentRoutes({ db, log, prisma, advance, reconcile, wake }: Payments): (router: ConnectRouter) => void {
  const { method } = PaymentService;
  // What is remembered of a call is what identifies its answer; the answer itself is the row as it stands.
  const once = createOnce(db);

  return (router) =>
    router.service(PaymentService, {
      async getPayment({ orderId }, context) {
        return { payment: payableMessage(await getPayment(prisma, orderId, callerOf(context))) };
      },
      async listPayments({ states, pageSize, pageToken }) {
        const { payments, nextPageToken } = await listPayments(prisma, { states: states.map((state) => PaymentState[state] as State), pageSize, pageToken });
        return { payments: payments.map(paymentMessage), nextPageToken };
      },
      async confirmPayment(request, context) {
        const { orderId, paymentMethod } = request;
        if (paymentMethod === '') throw refuse('INVALID_FIELD', 'payment_method: a payment method of the provider is needed, "pm_…"');
        await awaitPayment(db, orderId, callerOf(context));
        await getPayment(prisma, orderId, callerOf(context));
        await once(method.confirmPayment, request, context, async (tx) => {
          await recordAttempt(tx, orderId, paymentMethod);
          return {};
        });
        await awaitAnswer(db, orderId, advance, log, context.timeoutMs() ?? DEFAULT_WAIT_MS);
        return { payment: payableMessage(await getPayment(prisma, orderId, callerOf(context))) };
      },
      async refundPayment(request, context) {
        const { orderId, amount, reason, requestId } = request;
        const caller = callerOf(context).subject;
        const { refund } = await once(method.refundPayment, request, context, async (tx) => ({ refund: { refundId: await refundPayment(tx, { orderId, amount, reason, caller, requestId }, wake) } }));
        const [row, payment] = await Promise.all([prisma.refund.findUniqueOrThrow({ where: { refundId: refund?.refundId ?? '' } }), getPayment(prisma, orderId, callerOf(context))]);
        return { refund: refundMessage(row, payment.currency), payment: paymentMessage(payment) };
      },
      async listRefunds(request, context) {
        const { currency } = await getPayment(prisma, request.orderId, callerOf(context));
        const { refunds, nextPageToken } = await listRefunds(prisma, request);
        return { refunds: refunds.map((row) => refundMessage(row, currency)), nextPageToken };
      },
      reconcile: ({ dryRun, since }, context) =>
        reconcile({ dryRun, since: since ? timestampDate(since) : new Date(Date.now() - DAY_MS), withinMs: (context.timeoutMs() ?? DEFAULT_WAIT_MS) / 2 }),
    });
}

/** With the client secret, as long as there is something to pay. */
function payableMessage(row: PaymentRow): MessageInitShape<typeof PaymentSchema> {
  const payable = !isFinal(row.state as State) && !row.orderCancelled;
  return { ...paymentMessage(row), clientSecret: payable ? row.clientSecret : '' };
}

function paymentMessage(row: PaymentRow): MessageInitShape<typeof PaymentSchema> {
  const { paymentId, orderId, currency, providerPaymentId, failureCode, failureMessage, attempts, version, disputed, actionUrl } = row;
  return {
    paymentId, orderId, providerPaymentId, failureCode, failureMessage, attempts, version, disputed, actionUrl,
    provider: 'stripe',
    state: PaymentState[row.state as State],
    amount: money(row.amount, currency), captured: money(row.captured, currency), refunded: money(row.refunded, currency),
    createTime: timestampFromDate(row.createTime), updateTime: timestampFromDate(row.updateTime),
  };
}

function refundMessage(row: RefundRow, currency: string): MessageInitShape<typeof RefundSchema> {
  const { refundId, orderId, reason, providerRefundId, failureMessage } = row;
  return {
    refundId, orderId, reason, providerRefundId, failureMessage,
    amount: money(row.amount, currency), state: RefundState[row.state as Refunded],
    createTime: timestampFromDate(row.createTime), updateTime: timestampFromDate(row.updateTime),
  };
}
