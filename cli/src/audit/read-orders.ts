// Reads orders, payments, reservations, messages and the provider's records side by side, by order id, and judges each order.
import { type Keyed, flat, keyed, mergeByKey, sortedLines } from './merge.ts';
import { KINDS, buyerWasTold } from './messages.ts';
import { booksAgree, moneyIsRight, paidIsServed } from './money.ts';
import { type LedgerRow, type MessagesRow, type OrderFacts, type OrderRow, type PaymentRow, type ReservationRow, type Scope, isMoving, isPaid } from './order-facts.ts';
import { moneyRows, oneWord } from './provider.ts';
import type { Invariant, Tally } from './report.ts';
import { stockFollowsOrder } from './stock.ts';
import { type Window, type World, isYoung, windowValues, young } from './window.ts';

/** What belongs to an order may be a little older than it: its stock is held before it is stored. */
const EARLIER = `($2::timestamptz - interval '10 minutes')`;

const ORDERS = `
  SELECT order_id, state, payment_state, payment_version, payment_status, captured, refunded, disputed, currency, total, stock_committed, ${young('update_time')}, customer_phone <> ''
  FROM orders WHERE create_time >= $2::timestamptz ORDER BY order_id COLLATE "C"`;
const PAYMENTS = `
  SELECT p.order_id, p.state, p.amount, p.currency, p.captured, p.refunded, p.refund_pending, p.disputed, p.version, p.provider_payment_id, ${young('p.update_time')}, coalesce(r.asked, 0)
  FROM payment p LEFT JOIN (SELECT order_id, sum(amount) AS asked FROM refund WHERE state <> 'FAILED' GROUP BY order_id) r USING (order_id)
  WHERE p.create_time >= ${EARLIER} ORDER BY p.order_id COLLATE "C"`;
const RESERVATIONS = `
  SELECT order_id, state, ${young('update_time')} FROM reservation WHERE create_time >= ${EARLIER} ORDER BY order_id COLLATE "C"`;
const MESSAGES = `
  SELECT order_id, bit_or(CASE kind || '/' || channel ${KINDS.map((kind, bit) => `WHEN '${kind}' THEN ${1 << bit}`).join(' ')} ELSE 0 END), bool_or(${young('create_time')})
  FROM notification WHERE order_id <> '' AND create_time >= ${EARLIER} GROUP BY order_id ORDER BY order_id COLLATE "C"`;

export async function checkOrders({ window, databases, provider, have }: World, tally: Tally): Promise<void> {
  const values = windowValues(window);
  const scope: Scope = { have, whole: window.since === undefined };
  const none = async function* (): AsyncGenerator<never> {};
  const read = <T>(source: 'order' | 'payment' | 'inventory' | 'notification', sql: string, toRow: (row: (string | null)[]) => T): AsyncIterable<Keyed<T>[]> =>
    have.has(source) ? keyed(databases[source].rows(sql, values), toRow) : none();
  const ledger = provider && have.has('provider') ? await ledgerLines(provider, window, tally) : [];

  await mergeByKey(
    {
      order: read('order', ORDERS, orderOf),
      payment: read('payment', PAYMENTS, paymentOf),
      reservation: read('inventory', RESERVATIONS, ([, state, moving]): ReservationRow => ({ state: state ?? '', moving: moving === 't' })),
      messages: read('notification', MESSAGES, ([, kinds, moving]): MessagesRow => ({ kinds: Number(kinds), moving: moving === 't' })),
      ledger: sortedLines(ledger),
    },
    (orderId, { order, payment, reservation, messages, ledger: lines }) =>
      judge({ orderId, order: order[0], payment: payment[0], reservation: reservation[0], messages: messages[0], ledger: lines.map(ledgerOf) }, scope, tally),
  );
}

/** Judges one order and counts what was judged. */
export function judge(facts: OrderFacts, scope: Scope, tally: Tally): void {
  const { order, payment, reservation, ledger } = facts;
  // Of an order before the window the rest is not at hand.
  if (!order && !scope.whole) return;
  const check = (invariant: Invariant, run: (problem: (text: string) => void) => void) => {
    tally.checked(invariant);
    run((problem) => tally.violated({ invariant, what: facts.orderId, problem }));
  };
  if (isMoving(facts)) return;
  if (scope.have.has('provider') && (ledger.length > 0 || order || payment)) check('I3', (problem) => moneyIsRight(facts, problem));
  if (order || payment || ledger.some(({ type }) => type === 'captured')) check('I4', (problem) => booksAgree(facts, scope, problem));
  if (order && (isPaid(facts) || order.state === 'CONFIRMED' || order.state === 'FULFILLED')) check('I8', (problem) => paidIsServed(facts, scope, problem));
  if (order || reservation) check('I1', (problem) => stockFollowsOrder(facts, scope, problem));
  if (order && !facts.messages?.moving) check('I9', (problem) => buyerWasTold(facts, scope, problem));
}

async function ledgerLines(provider: NonNullable<World['provider']>, window: Window, tally: Tally): Promise<string[]> {
  const lines: string[] = [];
  let strangers = 0;
  for await (const rows of moneyRows(provider, window.since)) {
    for (const { time, type, orderId, amount, currency, intent } of rows) {
      if (orderId === '') strangers += 1;
      else lines.push(flat(`${oneWord(orderId)} ${type} ${amount} ${currency} ${intent} ${isYoung(time, window) ? 't' : 'f'}`));
    }
  }
  if (strangers > 0) tally.note('I4', `${strangers} records of the provider name no order; they are not ours to judge`);
  return lines;
}

function ledgerOf(line: string): LedgerRow {
  const [type = '', amount, currency = '', intent = '', moving] = line.split(' ');
  return { type, amount: Number(amount), currency, intent, moving: moving === 't' };
}

function orderOf(row: (string | null)[]): OrderRow {
  const [, state, paymentState, paymentVersion, paymentStatus, captured, refunded, disputed, currency, total, stockCommitted, moving, phone] = row as string[];
  return {
    state: state as string, paymentState: paymentState as string, paymentVersion: Number(paymentVersion), paymentStatus: paymentStatus as string,
    captured: Number(captured), refunded: Number(refunded), disputed: disputed === 't', currency: currency as string, total: Number(total),
    stockCommitted: stockCommitted === 't', moving: moving === 't', phone: phone === 't',
  };
}

function paymentOf(row: (string | null)[]): PaymentRow {
  const [, state, amount, currency, captured, refunded, refundPending, disputed, version, intent, moving, asked] = row as string[];
  return {
    state: state as string, amount: Number(amount), currency: currency as string, captured: Number(captured), refunded: Number(refunded), refundPending: Number(refundPending),
    disputed: disputed === 't', version: Number(version), intent: intent as string, moving: moving === 't', asked: Number(asked),
  };
}
