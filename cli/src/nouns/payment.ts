// millrace payment …
import { create } from '@bufbuild/protobuf';
import {
  GetPaymentResponseSchema, ListPaymentsResponseSchema, ListRefundsResponseSchema, PaymentService, PaymentState, PaymentStateSchema, ReconcileResponseSchema, RefundPaymentResponseSchema, RefundStateSchema,
} from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import { type Call, type Noun, TEXT, TEXTS, YES, expectArgs } from '../command.ts';
import { PAGE_OPTIONS, PAGE_USAGE, gather } from '../pages.ts';
import { EXIT } from '../problems.ts';
import { readEnums, readMoney, readTime, showEnum, showMoney, showTime } from '../values.ts';

export const payment: Noun = {
  about: 'the money of orders',
  verbs: {
    get: { usage: 'ORDER_ID', about: 'shows the payment of an order', run: get },
    list: { usage: `[--state S,S] ${PAGE_USAGE}`, about: 'lists payments, newest first', options: { state: TEXTS, ...PAGE_OPTIONS }, run: list },
    refund: { usage: 'ORDER_ID [--amount "5.00 EUR"] [--reason TEXT]', about: 'gives money back: an amount, or all that is left', options: { amount: TEXT, reason: TEXT }, run: refund },
    refunds: { usage: `ORDER_ID ${PAGE_USAGE}`, about: 'lists the refunds of an order', options: PAGE_OPTIONS, run: refunds },
    reconcile: { usage: '[--dry-run] [--since TIME]', about: "compares our records with the provider's and repairs what differs", options: { 'dry-run': YES, since: TEXT }, run: reconcile },
  },
};

async function get(call: Call): Promise<void> {
  const [orderId] = expectArgs(call, 'ORDER_ID');
  const answer = await call.client(PaymentService).getPayment({ orderId });
  call.out.answer(GetPaymentResponseSchema, answer, () => {
    const one = answer.payment;
    if (!one) return;
    call.out.facts({
      payment: one.paymentId,
      order: one.orderId,
      state: showEnum(PaymentStateSchema, one.state),
      amount: showMoney(one.amount),
      captured: showMoney(one.captured),
      refunded: showMoney(one.refunded),
      provider: `${one.provider} ${one.providerPaymentId}`.trim(),
      attempts: one.attempts,
      failure: [one.failureCode, one.failureMessage].filter(Boolean).join(': '),
      'to do': one.actionUrl,
      disputed: one.disputed ? 'yes' : '',
      changed: showTime(one.updateTime),
    });
  });
}

async function list(call: Call): Promise<void> {
  expectArgs(call);
  const states = readEnums<PaymentState>(PaymentStateSchema, call.flags.words('state'), '--state');
  const { rows: payments, nextPageToken } = await gather(call, (page) => call.client(PaymentService).listPayments({ states, ...page }), (page) => page.payments);
  call.out.answer(ListPaymentsResponseSchema, create(ListPaymentsResponseSchema, { payments, nextPageToken }), () =>
    call.out.table(
      ['ORDER', 'OPENED', 'STATE', 'AMOUNT', 'CAPTURED', 'REFUNDED', 'FAILURE', ''],
      payments.map((one) => [one.orderId, showTime(one.createTime), showEnum(PaymentStateSchema, one.state), showMoney(one.amount), showMoney(one.captured), showMoney(one.refunded), one.failureCode, one.disputed ? 'disputed' : '']),
    ),
  );
}

async function refund(call: Call): Promise<void> {
  const [orderId] = expectArgs(call, 'ORDER_ID');
  const amount = call.flags.text('amount');
  const answer = await call.client(PaymentService).refundPayment({
    orderId,
    amount: amount === undefined ? undefined : readMoney(amount, '--amount'),
    reason: call.flags.text('reason'),
    requestId: call.requestId,
  });
  call.out.answer(RefundPaymentResponseSchema, answer, () =>
    call.out.facts({
      refund: answer.refund?.refundId,
      order: answer.refund?.orderId,
      state: showEnum(RefundStateSchema, answer.refund?.state ?? 0),
      amount: showMoney(answer.refund?.amount),
      'refunded so far': showMoney(answer.payment?.refunded),
    }),
  );
}

async function refunds(call: Call): Promise<void> {
  const [orderId] = expectArgs(call, 'ORDER_ID');
  const { rows, nextPageToken } = await gather(call, (page) => call.client(PaymentService).listRefunds({ orderId, ...page }), (page) => page.refunds);
  call.out.answer(ListRefundsResponseSchema, create(ListRefundsResponseSchema, { refunds: rows, nextPageToken }), () =>
    call.out.table(['REFUND', 'ASKED FOR', 'STATE', 'AMOUNT', 'REASON', 'FAILURE'], rows.map((one) => [one.refundId, showTime(one.createTime), showEnum(RefundStateSchema, one.state), showMoney(one.amount), one.reason, one.failureMessage])),
  );
}

// What needs a person is a refusal to scripts.
async function reconcile(call: Call): Promise<number> {
  expectArgs(call);
  const since = call.flags.text('since');
  const dryRun = call.flags.on('dry-run');
  const answer = await call.client(PaymentService).reconcile({ dryRun, since: since === undefined ? undefined : readTime(since, '--since') });
  call.out.answer(ReconcileResponseSchema, answer, () => {
    call.out.line(`${answer.checked} checked, ${answer.repaired} repaired, ${answer.unresolved} need a person`);
    if (answer.discrepancies.length > 0) call.out.table(['ORDER', 'PROVIDER', 'WHAT', 'OURS', 'THEIRS', ''], answer.discrepancies.map((one) => [one.orderId, one.providerPaymentId, one.kind, one.ours, one.theirs, one.repaired ? 'repaired' : '']));
  });
  return answer.unresolved > 0 ? EXIT.refused : EXIT.ok;
}
