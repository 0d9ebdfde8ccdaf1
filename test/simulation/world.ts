// Five services' pure decisions in one process, with a network that delivers in any order and more than once, and a provider
// whose answers get lost. Nothing here decides anything: it carries facts from one service's decision to the next.

import { orderCancelled, orderPaid, refundRequested } from '../../services/inventory/src/facts.ts';
import { Books } from '../../services/inventory/src/books.ts';
import { expire, hold, type Reservation } from '../../services/inventory/src/reservation.ts';
import type { Stock } from '../../services/inventory/src/stock.ts';
import { messagesFor, type Kind } from '../../services/notification/src/notification.ts';
import { cancel, hear, newOrder, requestRefund, type CancelCause, type Order } from '../../services/order/src/order.ts';
import { apply, open, type Told } from '../../services/payment/src/apply.ts';
import type { Fact as PaymentFact } from '../../services/payment/src/facts.ts';
import { idempotencyKey, nextStep, type Account } from '../../services/payment/src/payment.ts';
import { createProvider } from './provider.ts';

type Service = 'order' | 'payment' | 'inventory' | 'notification';
export type SimEvent =
  | { id: number; type: 'placed' | 'confirmed' | 'cancelled' }
  | { id: number; type: 'refund_requested'; refundId: string; amount: bigint }
  | { id: number; type: 'payment'; told: Told }
  | { id: number; type: 'committed' | 'released' | 'shortfall' };
type Letter = { to: Service; event: SimEvent };

const LISTENERS: Record<SimEvent['type'], Service[]> = {
  placed: ['payment', 'notification'],
  confirmed: ['notification'],
  cancelled: ['payment', 'inventory', 'notification'],
  refund_requested: ['payment', 'inventory'],
  payment: ['order', 'inventory', 'notification'],
  committed: ['order'],
  released: ['order'],
  shortfall: ['order', 'notification'],
};

const ORDER_ID = 'ord_1';
const SKU = 'MUG';
const PRICE = 500n;
const START = new Date('2026-01-01T00:00:00Z');
const HOLD_MINUTES = 35;
const CAUSE = { reason: '', actor: 'simulation' };

export type World = ReturnType<typeof createWorld>;

export function createWorld({ stock: onHand, quantity, paymentMethod }: { stock: number; quantity: number; paymentMethod: string }) {
  let now = START;
  let nextId = 1;
  const mail: Letter[] = [];
  const inboxes: Record<Service, Set<number>> = { order: new Set(), payment: new Set(), inventory: new Set(), notification: new Set() };
  const said: SimEvent[] = [];
  const versions: { order: number[]; payment: number[]; states: string[] } = { order: [1], payment: [], states: ['PENDING_PAYMENT'] };
  const messages = new Map<string, Kind>();
  const provider = createProvider();

  let stock: Stock = {
    sku: SKU, name: 'Mug', onHand, reserved: 0, threshold: 0, low: false, discontinued: false, opened: true, productVersion: 1, version: 1, updateTime: now,
  };
  let reservation: Reservation | undefined;
  let account: Account | undefined;
  let order = newOrder({
    orderId: ORDER_ID, customer: { customerId: 'c', name: 'C', email: 'c@example.com', phone: '' }, currency: 'EUR', total: PRICE * BigInt(quantity), paymentMethod, note: '',
    lines: [{ sku: SKU, name: 'Mug', quantity, unitPrice: PRICE }], shippingAddress: undefined, paymentDueTime: minutes(30),
  }, now);

  // What each service does about what it hears.
  const news: Partial<Record<string, Kind>> = {
    placed: 'order_confirmation', cancelled: 'order_cancelled', succeeded: 'payment_confirmation', failed: 'payment_failed', refunded: 'refund',
    action_required: 'payment_action_required', shortfall: 'operator_alert', disputed: 'operator_alert',
  };

  const handlers: Record<Service, (event: SimEvent) => void> = {
    order(event) {
      if (event.type === 'payment') {
        const { payment: snapshot, refund: given } = event.told;
        const { version, state, captured, refunded, refundPending, disputed } = snapshot;
        become(hear(order, { kind: 'payment', payment: { version, state, captured, refunded, refundPending, disputed }, refund: given && { refundId: given.id, given: given.amount > 0n } }, now));
      } else if (event.type === 'committed') become(hear(order, { kind: 'stock_committed' }, now));
      else if (event.type === 'shortfall') become(hear(order, { kind: 'shortfall' }, now));
    },
    inventory(event) {
      if (event.type === 'cancelled') withBooks((books) => orderCancelled(books, ORDER_ID, CAUSE));
      else if (event.type === 'payment' && event.told.kind === 'succeeded') withBooks((books) => orderPaid(books, ORDER_ID, CAUSE));
      else if (event.type === 'refund_requested') withBooks((books) => refundRequested(books, { orderId: ORDER_ID, refundId: event.refundId, restockLines: [] }, CAUSE));
    },
    payment(event) {
      if (event.type === 'placed') payment({ kind: 'placed', order: opening() });
      else if (event.type === 'cancelled') payment({ kind: 'order_cancelled' });
      else if (event.type === 'refund_requested') payment({ kind: 'refund_requested', refundId: event.refundId, amount: event.amount, reason: '' });
    },
    notification(event) {
      const kind = news[event.type === 'payment' ? event.told.kind : event.type];
      if (kind === undefined) return;
      for (const message of messagesFor({ kind, orderId: ORDER_ID, details: {} }, ['admin@example.com'])) messages.set(message.dedupeKey, kind);
    },
  };

  withBooks((books) => books.take(hold(undefined, { orderId: ORDER_ID, lines: [{ sku: SKU, quantity }], holdUntil: minutes(HOLD_MINUTES), actor: 'order' }, books.levelOf, now)));
  say({ type: 'placed' });

  return {
    /** Actors and accidents; each may come at any moment, and does nothing when it can't. */
    deliver, runPayment, webhook: () => webhook(), expireOrder, cancelOrder, expireHold, otherBuyer, confirmPayment, refund,
    pending: () => mail.length,
    said: () => said,
    settle,
    look: () => ({ order, reservation, stock, account, messages, provider, versions, mail }),
  };

  function minutes(n: number): Date {
    return new Date(START.getTime() + n * 60_000);
  }

  function say(event: Record<string, unknown> & { type: SimEvent['type'] }): void {
    const stamped = { ...event, id: nextId++ } as SimEvent;
    said.push(stamped);
    for (const to of LISTENERS[stamped.type]) mail.push({ to, event: stamped });
  }

  /** Delivers one letter of those under way; `keep` leaves it there, to be delivered again. */
  function deliver(pick: number, keep: boolean): void {
    if (mail.length === 0) return;
    const i = pick % mail.length;
    const letter = mail[i] as Letter;
    if (!keep) mail.splice(i, 1);
    const inbox = inboxes[letter.to];
    if (inbox.has(letter.event.id)) return;
    inbox.add(letter.event.id);
    handlers[letter.to](letter.event);
  }

  // Order.

  function become(next: Order): void {
    const before = order;
    order = next;
    if (next.version !== before.version) versions.order.push(next.version);
    if (next.state === before.state) return;
    versions.states.push(next.state);
    if (next.state === 'CONFIRMED') say({ type: 'confirmed' });
    if (next.state === 'CANCELLED') say({ type: 'cancelled' });
  }

  function cancelOrder(cause: CancelCause = 'BUYER'): void {
    if (order.state === 'PENDING_PAYMENT' || order.state === 'CONFIRMED') become(cancel(order, cause, 'because', now));
  }

  function expireOrder(): void {
    if (now < order.paymentDueTime) now = order.paymentDueTime;
    if (account) account = { ...account, overdue: true };
    if (order.state === 'PENDING_PAYMENT') cancelOrder('EXPIRED');
  }

  function refund(amount: bigint): void {
    const refundId = `refund_${order.refunds.length + 1}`;
    try {
      const next = requestRefund(order, refundId, { amount, lines: [] }, now);
      become(next);
      say({ type: 'refund_requested', refundId, amount });
    } catch (error) {
      if ((error as { reason?: string }).reason === undefined) throw error;
    }
  }

  // Inventory.

  function withBooks(work: (books: Books) => void): void {
    const books = new Books(now, [stock], reservation ? [reservation] : []);
    work(books);
    const { notices } = books.close();
    stock = books.levelOf(SKU) as Stock;
    reservation = books.reservation(ORDER_ID);
    for (const notice of notices) say({ type: notice.kind.toLowerCase() as 'committed' });
  }

  function expireHold(): void {
    if (now < minutes(HOLD_MINUTES + 1)) now = minutes(HOLD_MINUTES + 1);
    withBooks((books) => books.take(expire(books.reservation(ORDER_ID) as Reservation, now, CAUSE)));
  }

  /** Somebody else buys whatever is free. */
  function otherBuyer(): void {
    const free = stock.onHand - stock.reserved;
    if (free > 0) stock = { ...stock, onHand: stock.onHand - free };
  }

  // Payment.

  function tell(applied: { account: Account; told: Told[] }): void {
    ({ account } = applied);
    for (const told of applied.told) {
      versions.payment.push(told.payment.version);
      say({ type: 'payment', told });
    }
  }

  /** One round of the worker: mark, call, take the answer. A crash or a lost reply leaves the mark. */
  function runPayment(outcome: { lost: boolean; crash: boolean; declined: boolean }): void {
    if (account === undefined) return;
    const step = nextStep(account);
    const before = account.payment;
    account = mark(account, true);
    const facts = provider.perform(step.do, idempotencyKey(step, before), before, step.do === 'refund' ? step.refund : undefined, outcome.declined);
    if (outcome.crash) return;
    account = mark(account, outcome.lost && facts.length > 0);
    if (outcome.lost) return;
    for (const fact of facts) tell(apply(account, fact));
  }

  function mark(current: Account, asking: boolean): Account {
    return { ...current, payment: { ...current.payment, asking } };
  }

  /** The provider tells what it knows, now or long after. */
  function webhook(): void {
    const fact = provider.fact();
    if (account && fact && account.payment.providerPaymentId !== '') tell(apply(account, fact));
  }

  function confirmPayment(): void {
    if (account === undefined) return;
    try {
      tell(apply(account, { kind: 'attempt', paymentMethod: 'pm_card_visa' }));
    } catch (error) {
      if ((error as { reason?: string }).reason !== 'ILLEGAL_TRANSITION') throw error;
    }
  }

  function opening() {
    return { orderId: ORDER_ID, customerId: 'c', amount: order.total, currency: 'EUR', paymentMethod, dueTime: order.paymentDueTime };
  }

  function payment(fact: PaymentFact): void {
    if (account === undefined) tell(open({ ...opening(), paymentMethod: fact.kind === 'placed' ? paymentMethod : '' }));
    if (account !== undefined && fact.kind !== 'placed') tell(apply(account, fact));
    if (account !== undefined && fact.kind === 'placed' && account.payment.orderCancelled) tell(apply(account, fact));
  }

  /** The faults are over: letters arrive, the worker works, and what is due falls due. */
  function settle(): void {
    for (let i = 0; i < 500; i += 1) {
      if (mail.length > 0) deliver(0, false);
      else if (busy()) runPayment({ lost: false, crash: false, declined: false });
      else if (order.state === 'PENDING_PAYMENT') expireOrder();
      else return;
    }
    throw new Error(`does not settle: ${JSON.stringify({ order, account }, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`);
  }

  function busy(): boolean {
    if (account === undefined) return false;
    const step = nextStep(account).do;
    return account.payment.asking || (step !== 'nothing' && step !== 'look_up') || (step === 'look_up' && provider.ahead(account.payment));
  }
}
