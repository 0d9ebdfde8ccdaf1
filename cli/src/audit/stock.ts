// Stock: I1 and I2, per sku and per order. Pure.
import type { OrderFacts, Problem, Scope } from './order-facts.ts';
import type { Violation } from './report.ts';

/** One sku: its level, the sums of its ledger, what open holds say, and the units in orders that are to be shipped or were. */
export type SkuFacts = {
  sku: string;
  level: { onHand: number; reserved: number } | undefined;
  ledger: { onHand: number; reserved: number; received: number; sold: number } | undefined;
  held: number;
  ordered: number;
};

/** I1 and I2 of one sku; without `ordered` the orders could not be read. */
export function judgeSku({ sku, level, ledger, held, ordered }: SkuFacts): Violation[] {
  const found: Violation[] = [];
  const say = (invariant: 'I1' | 'I2', problem: string) => void found.push({ invariant, what: sku, problem });
  const { onHand = 0, reserved = 0 } = level ?? {};
  const sums = ledger ?? { onHand: 0, reserved: 0, received: 0, sold: 0 };
  if (sums.sold + held > sums.received) say('I1', `${sums.sold} sold and ${held} held of ${sums.received} received`);
  if (onHand - reserved < 0) say('I1', `${onHand - reserved} available`);
  if (ordered > sums.received) say('I1', `orders to be shipped have ${ordered}, ${sums.received} were received`);
  if (!level && ledger) say('I2', 'a ledger without a level');
  if (sums.onHand !== onHand) say('I2', `the ledger sums up to ${sums.onHand} on hand, the level says ${onHand}`);
  if (sums.reserved !== reserved) say('I2', `the ledger sums up to ${sums.reserved} reserved, the level says ${reserved}`);
  if (held !== reserved) say('I2', `open holds are of ${held}, the level says ${reserved} reserved`);
  return found;
}

/** I1 of one order: its stock is where its state says, and no hold is left stuck. */
export function stockFollowsOrder({ order, reservation }: OrderFacts, { have, whole }: Scope, problem: Problem): void {
  const state = reservation?.state;
  if (!order) {
    if (whole && have.has('order') && state === 'COMMITTED') problem('stock was sold for an order that does not exist');
    return;
  }
  if (!reservation) {
    if (have.has('inventory')) problem('an order without a reservation');
    return;
  }
  if (order.state !== 'PENDING_PAYMENT' && state === 'HELD') problem(`its hold is stuck: the order is ${order.state}`);
  if (order.state === 'CANCELLED' && state === 'COMMITTED') problem('cancelled, and its stock was not put back');
  if (order.stockCommitted && order.state !== 'CANCELLED' && state !== 'COMMITTED' && state !== 'RESTOCKED') problem(`the order says that its stock is sold, its reservation is ${state}`);
}
