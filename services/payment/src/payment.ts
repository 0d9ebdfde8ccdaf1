// The money of one order: what it may become, and what is to be done about it next. Pure; time and ids come in as data.

export type PaymentState = 'PENDING' | 'REQUIRES_ACTION' | 'PROCESSING' | 'SUCCEEDED' | 'FAILED' | 'CANCELLED';
export type RefundState = 'PENDING' | 'SUCCEEDED' | 'FAILED';

/**
 * Where a payment may go; going where it stands is a no-op, anything else is an IllegalTransitionError.
 * CANCELLED → SUCCEEDED: the provider's money is the truth. Whatever it captured after we gave up is taken note of, and given back.
 */
const NEXT: Record<PaymentState, readonly PaymentState[]> = {
  PENDING: ['REQUIRES_ACTION', 'PROCESSING', 'SUCCEEDED', 'FAILED', 'CANCELLED'],
  REQUIRES_ACTION: ['PROCESSING', 'SUCCEEDED', 'FAILED', 'CANCELLED'],
  PROCESSING: ['REQUIRES_ACTION', 'SUCCEEDED', 'FAILED', 'CANCELLED'],
  FAILED: ['REQUIRES_ACTION', 'PROCESSING', 'SUCCEEDED', 'CANCELLED'],
  CANCELLED: ['SUCCEEDED'],
  SUCCEEDED: [],
};

export type Payment = {
  paymentId: string;
  orderId: string;
  customerId: string;
  amount: bigint;
  currency: string;
  paymentMethod: string;
  state: PaymentState;
  captured: bigint;
  refunded: bigint;
  refundPending: bigint;
  /** The one intent that may ever be confirmed for this payment: made and confirmed under one key, or stored before it is confirmed. That is why there is at most one capture. */
  providerPaymentId: string;
  clientSecret: string;
  /** The provider's intent could still take money. */
  intentOpen: boolean;
  /** Tries to confirm, and how many of them the provider has answered. */
  attempts: number;
  answered: number;
  failureCode: string;
  failureMessage: string;
  actionUrl: string;
  disputed: boolean;
  disputeId: string;
  disputeReason: string;
  orderCancelled: boolean;
  dueTime: Date;
  /** Counts the opening and every event said. */
  version: number;
  /** Rounds at the provider that changed nothing, since the last one that did. */
  tries: number;
  /** Counts idempotency keys that are of no more use: the provider repeats an error under them, or an intent may be on its way that nobody is to pay twice over. */
  generation: number;
  /** A call to the provider may have had an effect that we don't know: look before anything else. */
  asking: boolean;
};

export type Refund = {
  refundId: string;
  amount: bigint;
  state: RefundState;
  reason: string;
  providerRefundId: string;
  failureMessage: string;
};

/** A payment with its refunds, oldest first; `overdue`: the order's time to pay is over; `quietMs`: since more than our bookkeeping changed. */
export type Account = { payment: Payment; refunds: Refund[]; overdue: boolean; quietMs: number };

export class IllegalTransitionError extends Error {
  readonly reason = 'ILLEGAL_TRANSITION';
  readonly metadata: { state: `PAYMENT_STATE_${PaymentState}` };
  constructor(state: PaymentState, message: string) {
    super(message);
    this.metadata = { state: `PAYMENT_STATE_${state}` };
  }
}

export function moved(from: PaymentState, to: PaymentState): PaymentState {
  if (from !== to && !NEXT[from].includes(to)) throw new IllegalTransitionError(from, `a payment that is ${from} can't become ${to}`);
  return to;
}

export const isFinal = (state: PaymentState): boolean => state === 'SUCCEEDED' || state === 'CANCELLED';

export type Opening = { orderId: string; customerId: string; amount: bigint; currency: string; paymentMethod: string; dueTime: Date };

export function openAccount(order: Opening): Account {
  const attempts = order.paymentMethod === '' ? 0 : 1;
  const payment: Payment = {
    ...order,
    paymentId: `pay_${order.orderId.replace(/^ord_/, '')}`,
    state: attempts === 0 ? 'PENDING' : 'PROCESSING',
    captured: 0n, refunded: 0n, refundPending: 0n,
    providerPaymentId: '', clientSecret: '', intentOpen: false,
    attempts, answered: 0,
    failureCode: '', failureMessage: '', actionUrl: '',
    disputed: false, disputeId: '', disputeReason: '',
    orderCancelled: false,
    version: 1, tries: 0, generation: 0, asking: false,
  };
  return { payment, refunds: [], overdue: false, quietMs: 0 };
}

export type Step =
  | { do: 'pay' | 'create' | 'find' | 'confirm' | 'cancel' | 'look_up' | 'close' | 'nothing' }
  | { do: 'refund'; refund: Refund };

/** What is to be done next with a payment: `pay` makes an intent and confirms it. After an unknown outcome it is always to look. */
export function nextStep({ payment, refunds, overdue }: Account): Step {
  const closing = payment.orderCancelled || overdue;
  const unanswered = payment.answered < payment.attempts && !isFinal(payment.state);
  if (payment.providerPaymentId === '') {
    if (isFinal(payment.state)) return { do: 'nothing' };
    if (payment.asking) return { do: 'find' };
    if (closing) return { do: 'close' };
    // One call while its key is good: a repeat under the same key is the same payment. Once the key is burnt, an intent that we may have missed must not be paid twice over.
    if (unanswered && payment.generation === 0) return { do: 'pay' };
    return { do: unanswered || payment.state === 'PENDING' ? 'create' : 'nothing' };
  }
  if (payment.asking) return { do: 'look_up' };
  const refund = refunds.find(({ state, providerRefundId }) => state === 'PENDING' && providerRefundId === '');
  if (refund && payment.captured > 0n) return { do: 'refund', refund };
  if (closing && payment.intentOpen) return { do: 'cancel' };
  return { do: unanswered ? 'confirm' : 'look_up' };
}

const FIRST_LOOK_MS = 5_000;
/** A buyer who pays in the browser is found this late when every webhook is lost and nobody reconciles. */
const MAX_LOOK_MS = 300_000;

/** Of what a buyer who has not tried to pay does next, a webhook tells, and reconciliation when that is lost. Most unpaid orders stay so, and Stripe takes a hundred calls a second. */
const isUntouched = ({ state, attempts, asking }: Payment): boolean => state === 'PENDING' && attempts === 0 && !asking;

/** When to come back to a payment, in milliseconds from now; null: never, nothing about it is open. */
export function dueIn(account: Account, progressed: boolean): number | null {
  const { payment } = account;
  const { state, intentOpen, refundPending, tries } = payment;
  if (isFinal(state) && !intentOpen && refundPending === 0n) return null;
  const step = nextStep(account).do;
  // An immediate step that has just led nowhere waits, too.
  if (progressed && step !== 'look_up' && step !== 'nothing') return 0;
  if (step === 'look_up' && isUntouched(payment)) return MAX_LOOK_MS;
  return Math.min(MAX_LOOK_MS, FIRST_LOOK_MS * 2 ** Math.min(tries, 10));
}

/** The key under which the provider does a step at most once. A repeat after a lost reply uses it again. */
export function idempotencyKey(step: Step, { paymentId, attempts, generation }: Payment): string {
  const suffix = generation === 0 ? '' : `:${generation}`;
  if (step.do === 'refund') return `refund:${step.refund.refundId}${suffix}`;
  return step.do === 'pay' || step.do === 'confirm' ? `${step.do}:${paymentId}:${attempts}${suffix}` : `${step.do}:${paymentId}${suffix}`;
}
