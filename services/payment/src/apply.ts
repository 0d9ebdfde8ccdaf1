// The only place where facts change payments. The order in which they arrive, and how often, makes no difference to where it ends. Pure.
import { type DisputeFact, type Fact, type Failure, type IntentFact, type Mismatch, type RefundFact, mismatchOf } from './facts.ts';
import { type Account, IllegalTransitionError, type Opening, type Payment, type Refund, type RefundState, isFinal, moved, openAccount } from './payment.ts';

/** What the others are told, with the payment as it stood then. */
export type Told = { kind: 'succeeded' | 'failed' | 'action_required' | 'cancelled' | 'refunded' | 'disputed'; payment: Payment; refund?: { id: string; amount: bigint } };

export type Applied = { account: Account; told: Told[]; mismatch?: Mismatch };

type Draft = { payment: Payment; refunds: Refund[]; told: Told[]; overdue: boolean };

/** Tries to give back what was captured for a cancelled order; then a person has to. */
const MAX_LATE_REFUNDS = 5;

/** Opens the payment of an order; one without anything to pay has succeeded. */
export function open(order: Opening): Applied {
  return change(openAccount(order), (draft) => {
    if (order.amount === 0n) capture(draft);
  });
}

export function apply(account: Account, fact: Fact): Applied {
  const mismatch = mismatchOf(account, fact);
  if (mismatch) return { account, told: [], mismatch };
  return change(account, (draft) => take(draft, fact));
}

function change(account: Account, work: (draft: Draft) => void): Applied {
  const draft: Draft = { payment: { ...account.payment }, refunds: account.refunds.map((refund) => ({ ...refund })), told: [], overdue: account.overdue };
  work(draft);
  giveBack(draft);
  balance(draft);
  const last = draft.told.at(-1);
  if (last) last.payment = { ...draft.payment };
  return { account: { ...account, payment: draft.payment, refunds: draft.refunds }, told: draft.told };
}

function take(draft: Draft, fact: Fact): void {
  const { payment } = draft;
  switch (fact.kind) {
    case 'intent': return takeIntent(draft, fact);
    case 'refund': return takeRefund(draft, fact);
    case 'dispute': return takeDispute(draft, fact);
    case 'placed': return fillIn(payment, fact.order);
    case 'order_cancelled':
      payment.orderCancelled = true;
      // A call under way may be making an intent: whoever makes it then closes it.
      if (payment.providerPaymentId === '' && !payment.asking) giveUp(draft);
      return;
    case 'closed': return payment.providerPaymentId === '' ? giveUp(draft) : undefined;
    case 'refund_requested': {
      const { refundId, amount, reason } = fact;
      if (!draft.refunds.some((refund) => refund.refundId === refundId)) draft.refunds.push({ refundId, amount, state: 'PENDING', reason, providerRefundId: '', failureMessage: '' });
      return;
    }
    case 'attempt': return begin(draft, fact.paymentMethod);
    case 'refused': return fact.attempt === payment.attempts && !isFinal(payment.state) ? fail(draft, fact.failure) : undefined;
    case 'refund_refused': return refundRefused(draft, fact.refundId, fact.message);
    case 'postponed':
      if (fact.burnt) payment.generation += 1;
      return;
    case 'not_found':
    case 'look_up': return;
    default: fact satisfies never;
  }
}

function begin({ payment, overdue }: Draft, paymentMethod: string): void {
  if (payment.orderCancelled || overdue || payment.state === 'PROCESSING') throw new IllegalTransitionError(payment.state, 'this order can\'t be paid now');
  // An intent may be on its way. Under another key one is made without being paid, and only the one that is stored is confirmed.
  if (payment.providerPaymentId === '') payment.generation += 1;
  payment.state = moved(payment.state, 'PROCESSING');
  Object.assign(payment, { paymentMethod, attempts: payment.attempts + 1, failureCode: '', failureMessage: '', actionUrl: '' });
}

/** The order's cancellation was here first. */
function fillIn(payment: Payment, { customerId, dueTime }: Opening): void {
  if (payment.orderCancelled) Object.assign(payment, { customerId, dueTime });
}

function takeIntent(draft: Draft, fact: IntentFact): void {
  const { payment } = draft;
  const linked = payment.providerPaymentId !== '';
  payment.providerPaymentId = fact.id;
  payment.clientSecret ||= fact.clientSecret;
  if (fact.status === 'captured') return capture(draft);
  if (payment.state === 'SUCCEEDED') return;
  if (fact.status === 'canceled') {
    payment.intentOpen = false;
    return giveUp(draft);
  }
  if (payment.state === 'CANCELLED') {
    // News of an intent that we have just learnt of; otherwise older than its end.
    if (!linked) payment.intentOpen = true;
    return;
  }
  payment.intentOpen = true;
  // While a try is unanswered, an intent that waits may be waiting since the try before.
  if (payment.answered < payment.attempts && fact.attempt !== payment.attempts && fact.status !== 'processing') return;
  if (fact.status === 'processing') {
    Object.assign(payment, { state: moved(payment.state, 'PROCESSING'), answered: payment.attempts, actionUrl: '' });
  } else if (fact.status === 'action') {
    if (payment.state === 'REQUIRES_ACTION' && payment.actionUrl === fact.actionUrl) return;
    Object.assign(payment, { state: moved(payment.state, 'REQUIRES_ACTION'), answered: payment.attempts, actionUrl: fact.actionUrl });
    tell(draft, 'action_required');
  } else if (fact.failure) {
    fail(draft, fact.failure);
  } else if (payment.state !== 'PENDING' && payment.state !== 'FAILED') {
    fail(draft, { code: 'payment_incomplete', message: 'The payment was not completed.' });
  }
}

function capture(draft: Draft): void {
  const { payment } = draft;
  payment.intentOpen = false;
  if (payment.state === 'SUCCEEDED') return;
  payment.state = moved(payment.state, 'SUCCEEDED');
  Object.assign(payment, { captured: payment.amount, answered: payment.attempts, failureCode: '', failureMessage: '', actionUrl: '' });
  tell(draft, 'succeeded');
}

function fail(draft: Draft, { code, message }: Failure): void {
  const { payment } = draft;
  if (payment.state === 'FAILED' && payment.answered === payment.attempts) return;
  payment.state = moved(payment.state, 'FAILED');
  Object.assign(payment, { answered: payment.attempts, failureCode: code, failureMessage: message, actionUrl: '' });
  tell(draft, 'failed');
}

function giveUp(draft: Draft): void {
  const { payment } = draft;
  if (isFinal(payment.state)) return;
  payment.state = moved(payment.state, 'CANCELLED');
  payment.actionUrl = '';
  tell(draft, 'cancelled');
}

const RANK: Record<RefundState, number> = { PENDING: 0, SUCCEEDED: 1, FAILED: 2 };

function takeRefund(draft: Draft, fact: RefundFact): void {
  // What was given back was captured, whoever tells it first.
  draft.payment.providerPaymentId = fact.intentId;
  capture(draft);
  let refund = draft.refunds.find(({ providerRefundId }) => providerRefundId === fact.id) ?? draft.refunds.find(({ refundId, providerRefundId }) => refundId === fact.refundId && providerRefundId === '');
  if (!refund) {
    const taken = draft.refunds.some(({ refundId }) => refundId === fact.refundId);
    refund = { refundId: taken || fact.refundId === '' ? fact.id : fact.refundId, amount: fact.amount, state: 'PENDING', reason: fact.reason, providerRefundId: '', failureMessage: '' };
    draft.refunds.push(refund);
  }
  // A refund that we had given up before it reached the provider, and that did reach it, is the provider's.
  const given = refund.providerRefundId === '' ? 'PENDING' : refund.state;
  refund.providerRefundId = fact.id;
  if (RANK[fact.state] > RANK[given]) settleRefund(draft, refund, fact.state, fact.failureMessage);
  else refund.state = given;
}

function settleRefund(draft: Draft, refund: Refund, state: RefundState, failureMessage = ''): void {
  Object.assign(refund, { state, failureMessage });
  balance(draft);
  // A refund that failed gave back nothing; the snapshot says that it is no longer awaited.
  tell(draft, 'refunded', { id: refund.refundId, amount: state === 'SUCCEEDED' ? refund.amount : 0n });
}

function refundRefused(draft: Draft, refundId: string, message: string): void {
  const refund = draft.refunds.find((candidate) => candidate.refundId === refundId && candidate.state === 'PENDING');
  if (!refund) return;
  // The money of a cancelled order must go back: asked again, with growing pauses, until it does.
  if (isLate(refund, draft.payment)) refund.failureMessage = message;
  else settleRefund(draft, refund, 'FAILED', message);
}

function takeDispute(draft: Draft, { id, intentId, reason, closed }: DisputeFact): void {
  const { payment } = draft;
  payment.providerPaymentId = intentId;
  capture(draft);
  const known = payment.disputeId === id;
  if (known && (!payment.disputed || !closed)) return;
  Object.assign(payment, { disputeId: id, disputeReason: reason, disputed: !closed });
  tell(draft, 'disputed');
}

/** Gives up what can't be refunded any more, and refunds what a cancelled order has left. */
function giveBack(draft: Draft): void {
  const { payment, refunds } = draft;
  if (!isFinal(payment.state)) return;
  let left = payment.captured;
  const firm = ({ state, providerRefundId }: Refund) => state === 'SUCCEEDED' || (state === 'PENDING' && providerRefundId !== '');
  for (const refund of refunds.filter(firm)) left -= refund.amount;
  for (const refund of refunds.filter((candidate) => candidate.state === 'PENDING' && candidate.providerRefundId === '')) {
    if (refund.amount <= left) left -= refund.amount;
    else if (isLate(refund, payment)) Object.assign(refund, { state: 'FAILED', failureMessage: 'Given back otherwise.' });
    else settleRefund(draft, refund, 'FAILED', 'More than is left to refund.');
  }
  const late = refunds.filter((refund) => isLate(refund, payment)).length;
  if (!payment.orderCancelled || left <= 0n || late >= MAX_LATE_REFUNDS) return;
  refunds.push({ refundId: `${lateId(payment)}${late === 0 ? '' : `_${late + 1}`}`, amount: left, state: 'PENDING', reason: 'The order was cancelled.', providerRefundId: '', failureMessage: '' });
}

const lateId = (payment: Payment): string => `refund_late_${payment.paymentId}`;
const isLate = (refund: Refund, payment: Payment): boolean => refund.refundId.startsWith(lateId(payment));

function balance({ payment, refunds }: Draft): void {
  const sum = (state: RefundState) => refunds.reduce((total, refund) => (refund.state === state ? total + refund.amount : total), 0n);
  payment.refunded = sum('SUCCEEDED');
  payment.refundPending = sum('PENDING');
}

function tell({ payment, told }: Draft, kind: Told['kind'], refund?: Told['refund']): void {
  payment.version += 1;
  told.push({ kind, payment: { ...payment }, ...(refund && { refund }) });
}
