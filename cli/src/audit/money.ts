// The money of one order: I3, I4, I8. Pure.
import { type OrderFacts, type Problem, type Scope, isPaid, sumOf } from './order-facts.ts';

/** I3: what the provider took and gave back, against what the order costs and what was asked for. */
export function moneyIsRight({ order, payment, ledger }: OrderFacts, problem: Problem): void {
  const captures = ledger.filter(({ type }) => type === 'captured');
  const [captured, refunded] = [sumOf(ledger, 'captured'), sumOf(ledger, 'refunded')];
  const total = order?.total ?? payment?.amount;
  const currency = order?.currency ?? payment?.currency;
  if (captures.length > 1) problem(`charged ${captures.length} times: ${captures.map(({ amount, intent }) => `${amount} by ${intent}`).join(', ')}`);
  else if (captures.length === 1 && total !== undefined && captured !== total) problem(`charged ${captured}, its total is ${total}`);
  if (refunded > captured) problem(`given back ${refunded}, more than the ${captured} charged`);
  else if (refunded > 0 && payment && refunded > payment.asked) problem(`given back ${refunded}, asked for were ${payment.asked}`);
  const foreign = ledger.find((row) => currency !== undefined && row.currency.toUpperCase() !== currency);
  if (foreign) problem(`${foreign.type} in ${foreign.currency.toUpperCase()}, the order is in ${currency}`);
}

/** I4: the order, the payment and the provider say the same. What is away or out of scope is not compared. */
export function booksAgree(facts: OrderFacts, { have, whole }: Scope, problem: Problem): void {
  const { order, payment, ledger } = facts;
  const captured = sumOf(ledger, 'captured');
  const refunded = sumOf(ledger, 'refunded');
  if (whole && have.has('order') && !order) {
    if (payment) problem('there is a payment and no order');
    else if (captured > 0) problem(`the provider charged ${captured} for an order that does not exist`);
    return;
  }
  if (order && have.has('payment') && !payment) return problem('there is an order and no payment');
  if (order && payment) {
    if (payment.amount !== order.total || payment.currency !== order.currency) problem(`the order costs ${order.total} ${order.currency}, the payment is of ${payment.amount} ${payment.currency}`);
    if (payment.captured !== order.captured) problem(`charged: the order says ${order.captured}, the payment ${payment.captured}`);
    if (payment.refunded !== order.refunded) problem(`given back: the order says ${order.refunded}, the payment ${payment.refunded}`);
    if (payment.disputed !== order.disputed) problem(`disputed: the order says ${order.disputed}, the payment ${payment.disputed}`);
    if ((payment.state === 'SUCCEEDED' || payment.state === 'CANCELLED') && order.paymentStatus !== payment.state) problem(`the order has heard that its payment is ${order.paymentStatus}, it is ${payment.state}`);
  }
  if (payment && have.has('provider')) {
    if (payment.captured !== captured) problem(`charged: the payment says ${payment.captured}, the provider ${captured}`);
    if (payment.refunded !== refunded) problem(`given back: the payment says ${payment.refunded}, the provider ${refunded}`);
    const stranger = ledger.find(({ type, intent }) => type === 'captured' && intent !== payment.intent);
    if (stranger) problem(`the provider charged by ${stranger.intent}, the payment knows ${payment.intent || 'none'}`);
  }
  if (order && !payment && have.has('provider') && order.captured !== captured) problem(`charged: the order says ${order.captured}, the provider ${captured}`);
}

/** I8: who paid has the goods coming or the money back; who did not pay has no confirmed order. */
export function paidIsServed(facts: OrderFacts, { have }: Scope, problem: Problem): void {
  const { order, payment, ledger } = facts;
  if (!order) return;
  const provider = have.has('provider');
  const captured = provider ? sumOf(ledger, 'captured') : (payment?.captured ?? order.captured);
  const refunded = provider ? sumOf(ledger, 'refunded') : (payment?.refunded ?? order.refunded);
  const served = order.state === 'CONFIRMED' || order.state === 'FULFILLED';
  if (served && captured < order.total) problem(`${order.state} and only ${captured} of ${order.total} were charged`);
  if (!isPaid(facts)) return;
  if (order.state === 'PENDING_PAYMENT') problem('paid, and not confirmed');
  // A disputed charge can't be refunded: the bank decides.
  if (order.state === 'CANCELLED' && refunded < captured && !order.disputed && !(payment && payment.refundPending > 0)) problem(`cancelled, and ${captured - refunded} of ${captured} were not given back`);
}
