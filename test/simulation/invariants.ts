// What must hold: some of it at every moment, the rest when everything has settled. The names are those of the auditor.
import type { Order } from '../../services/order/src/order.ts';
import { SKUS } from './inventory.ts';
import type { World } from './world.ts';

export class Violation extends Error {
  override readonly name = 'Violation';
}

function hold(invariant: string, holds: boolean, problem: () => string): void {
  if (!holds) throw new Violation(`${invariant}: ${problem()}`);
}

const ORDER_EDGES = new Set(['>PENDING_PAYMENT', 'PENDING_PAYMENT>CONFIRMED', 'PENDING_PAYMENT>CANCELLED', 'CONFIRMED>FULFILLED', 'CONFIRMED>CANCELLED']);
/** By kind and channel; every other kind that was ever due may be there once, too. */
const ALWAYS = 'order_confirmation';

/** Answers a check of what holds at every moment; each call looks at what is new since the one before. */
export function watch(world: World): () => void {
  const { inventory, orders, provider, notification, stage } = world;
  const booked = new Map<string, { onHand: number; reserved: number }>(SKUS.map((sku) => [sku, { onHand: 0, reserved: 0 }]));
  const seen = { movements: 0, said: 0, hooks: 0, edges: 0, mails: 0 };
  const told = new Map<string, number>();
  const mails = new Set<string>();

  function checkStock(): void {
    for (const { sku, onHandDelta, reservedDelta } of inventory.movements().slice(seen.movements)) {
      const sums = booked.get(sku) as { onHand: number; reserved: number };
      sums.onHand += onHandDelta;
      sums.reserved += reservedDelta;
    }
    for (const { sku, onHand, reserved } of inventory.stocks()) {
      hold('I1', reserved >= 0 && onHand >= reserved, () => `${sku} has ${onHand} on hand and ${reserved} reserved`);
      const held = sum(inventory.reservations().flatMap(({ state, lines }) => (state === 'HELD' ? lines : [])), sku);
      hold('I1', held === reserved, () => `${held} ${sku} are held and ${reserved} reserved`);
      const sums = booked.get(sku);
      hold('I2', sums?.onHand === onHand && sums.reserved === reserved, () => `the ledger of ${sku} says ${sums?.onHand} and ${sums?.reserved}, the level ${onHand} and ${reserved}`);
    }
    seen.movements = inventory.movements().length;
  }

  function checkMoney(): void {
    for (const { orderId, total } of orders.all()) {
      hold('I3', provider.captured(orderId).length <= 1, () => `${orderId} was captured ${provider.captured(orderId).length} times`);
      hold('I3', given(world, orderId) <= Number(total), () => `${orderId}: ${given(world, orderId)} of ${total} given back`);
    }
    seen.hooks = provider.hooks.length;
  }

  function checkOrders(): void {
    for (const { orderId, edge, from, to } of orders.edges.slice(seen.edges)) {
      hold('I13', edge === '' || ORDER_EDGES.has(edge), () => `${orderId} went ${edge}`);
      // What nobody outside can see is not counted.
      hold('I12', to === from + 1 || (edge === '' && to === from), () => `${orderId} went from version ${from} to ${to}`);
    }
    const buyers = orders.all().map(({ orderId }) => orderId.slice(0, 'ord_0'.length));
    hold('I6', new Set(buyers).size === buyers.length, () => `one request id has several orders: ${orders.all().map(({ orderId }) => orderId).join()}`);
    seen.edges = orders.edges.length;
  }

  function checkSaid(): void {
    for (const event of stage.said.slice(seen.said)) {
      if (event.type !== 'payment') continue;
      const before = told.get(event.orderId) ?? 1;
      hold('I12', event.told.payment.version === before + 1, () => `payment of ${event.orderId} said version ${event.told.payment.version} after ${before}`);
      told.set(event.orderId, event.told.payment.version);
    }
    seen.said = stage.said.length;
  }

  function checkMails(): void {
    for (const { key } of notification.ledger.slice(seen.mails)) {
      hold('I9', !mails.has(key), () => `${key} was sent twice`);
      mails.add(key);
    }
    seen.mails = notification.ledger.length;
  }

  return () => {
    if (inventory.movements().length > seen.movements) checkStock();
    if (provider.hooks.length > seen.hooks) checkMoney();
    if (orders.edges.length > seen.edges) checkOrders();
    if (stage.said.length > seen.said) checkSaid();
    if (notification.ledger.length > seen.mails) checkMails();
  };
}

/** What holds when nothing moves any more. */
export function checkEnd(world: World): void {
  const { orders, inventory, provider, notification, deadLetters, stage } = world;
  hold('I14', deadLetters.length === 0, () => `${deadLetters.length} dead letters can't be replayed`);
  hold('I10', Object.values(stage.outboxes).every((rows) => rows.length === 0), () => 'an outbox is not empty');
  for (const { key, body, outcome, orderId, buyer } of orders.journal) {
    hold('I5', outcome !== 'unknown', () => `${key} has no outcome`);
    hold('I5', outcome !== 'ok' || orders.get(orderId) !== undefined, () => `${orderId} was acknowledged and is not there`);
    hold('I5', outcome !== 'fail' || orders.get(`ord_${buyer}_${body}`) === undefined, () => `${key} was refused, and its order is there`);
  }
  for (const order of orders.all()) {
    checkOrder(world, order);
    checkMessages(world, order);
  }
  for (const row of notification.rows()) hold('I7', row.state !== 'pending', () => `${row.key} is still to be sent`);
  for (const { sku, onHand, reserved } of inventory.stocks()) {
    hold('I1b', reserved === 0, () => `${reserved} ${sku} are held for ever`);
    const sold = sum(orders.all().filter(({ state }) => state !== 'CANCELLED').flatMap(({ lines }) => lines), sku) - sum(orders.all().flatMap((order) => restocked(world, order)), sku);
    const received = inventory.movements().filter((movement) => movement.sku === sku && (movement.kind === 'OPENED' || movement.kind === 'ADJUSTED')).reduce((total, { onHandDelta }) => total + onHandDelta, 0);
    hold('I1b', received - sold === onHand, () => `${received} ${sku} received, ${sold} sold, ${onHand} on hand`);
  }
  for (const sku of SKUS) {
    const product = world.catalogue.products().get(sku);
    const stock = inventory.stocks().find((one) => one.sku === sku);
    hold('I4', product?.name === stock?.name && (product?.state === 'ARCHIVED') === stock?.discontinued && product?.revision === (stock?.productVersion ?? 0) + (product?.state === 'ARCHIVED' ? 1 : 0),
      () => `product and inventory differ over ${sku}: ${JSON.stringify({ product: product?.name, stock: stock?.name, revision: product?.revision, version: stock?.productVersion })}`);
  }
  for (const intent of provider.intents()) {
    hold('I3', intent.status === 'succeeded' || intent.status === 'canceled', () => `${intent.id} of ${intent.orderId} can still be paid: ${intent.status}`);
  }
}

function checkOrder(world: World, order: Order): void {
  const { orderId, state, total } = order;
  const account = world.payment.row(orderId);
  const reservation = world.inventory.reservation(orderId);
  const captured = BigInt(world.provider.captured(orderId).length) * total;
  const refunded = BigInt(given(world, orderId));
  const asked = order.refunds.reduce((all, { amount }) => all + amount, 0n);
  hold('I7', state !== 'PENDING_PAYMENT', () => `${orderId} is still ${state}`);
  hold('I4', account?.payment.captured === captured && account.payment.refunded === refunded, () => `${orderId}: the provider has ${captured} and gave ${refunded} back, payment says ${account?.payment.captured} and ${account?.payment.refunded}`);
  hold('I4', order.payment.captured === captured && order.payment.refunded === refunded, () => `${orderId}: the provider has ${captured} and gave ${refunded} back, order says ${order.payment.captured} and ${order.payment.refunded}`);
  hold('I4', order.payment.disputed === world.provider.disputed(orderId), () => `${orderId}: order and provider differ over a dispute`);
  hold('I7', account?.payment.refundPending === 0n && order.payment.refundPending === 0n && !order.refunds.some(({ open }) => open), () => `${orderId} has open refunds: ${account?.payment.refundPending} in payment, ${order.payment.refundPending} in order, ${order.refunds.filter(({ open }) => open).map(({ refundId }) => refundId).join()}`);
  hold('I7', account?.payment.asking === false, () => `${orderId}: its payment is left in doubt`);
  const givenByCause = world.provider.refunded(orderId).map(({ refundId }) => refundId);
  hold('I3', new Set(givenByCause).size === givenByCause.length, () => `${orderId}: one refund was given twice: ${givenByCause.join()}`);
  hold('I3', asked >= refunded || state === 'CANCELLED', () => `${orderId}: ${refunded} given back, ${asked} asked for`);
  hold('I3', world.orders.refundCalls.length >= order.refunds.length, () => `${orderId}: ${order.refunds.length} refunds of ${world.orders.refundCalls.length} calls`);
  if (state === 'CANCELLED') {
    hold('I8', refunded === captured, () => `${orderId} is cancelled, and ${captured - refunded} were kept`);
    hold('I1b', reservation?.state === 'RELEASED' || reservation?.state === 'RESTOCKED', () => `${orderId} is cancelled, and its stock ${reservation?.state}`);
    hold('I13', order.paymentState === (captured > 0n ? 'REFUNDED' : 'UNPAID'), () => `${orderId} is cancelled and ${order.paymentState}`);
    return;
  }
  hold('I8', captured === total, () => `${orderId} is ${state}, and ${captured} of ${total} were captured`);
  hold('I8', order.stockCommitted && (reservation?.state === 'COMMITTED' || reservation?.state === 'RESTOCKED'), () => `${orderId} is ${state}, and its stock ${reservation?.state}`);
}

/** Units that refunds of an order that stands have put back. */
function restocked(world: World, order: Order): { sku: string; quantity: number }[] {
  if (order.state === 'CANCELLED') return [];
  const asked = world.stage.said.flatMap((event) => (event.type === 'refund_requested' && event.orderId === order.orderId ? event.restock : []));
  return order.lines.map(({ sku, quantity }) => ({ sku, quantity: Math.min(quantity, sum(asked, sku)) }));
}

function checkMessages(world: World, order: Order): void {
  const { orderId, state } = order;
  const kinds = new Set<string>([ALWAYS]);
  if (state === 'CANCELLED') kinds.add('order_cancelled');
  if (state === 'FULFILLED') kinds.add('order_fulfilled');
  for (const event of world.stage.said) {
    if (event.type !== 'payment' || event.orderId !== orderId) continue;
    if (event.told.kind === 'succeeded') kinds.add('payment_confirmation');
    if (event.told.kind === 'refunded' && (event.told.refund?.amount ?? 0n) > 0n) kinds.add('refund');
  }
  for (const kind of kinds) {
    const messageKey = `${orderId}:${kind}:email`;
    const sent = world.notification.ledger.filter(({ key }) => key === messageKey).length;
    const gaveUp = world.notification.rows().some((row) => row.key === messageKey && row.gaveUp);
    hold('I9', sent === 1 || gaveUp, () => `${kind} of ${orderId} was sent ${sent} times`);
  }
}

const given = (world: World, orderId: string): number => world.provider.refunded(orderId).reduce((total, { amount }) => total + amount, 0);
const sum = (lines: readonly { sku: string; quantity: number }[], sku: string): number => lines.reduce((total, line) => (line.sku === sku ? total + line.quantity : total), 0);
