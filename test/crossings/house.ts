// The whole house: two things happen to one order, and the letters about them arrive in any order.
import { throwing } from '../simulation/dice.ts';
import { checkEnd, watch } from '../simulation/invariants.ts';
import { createWorld, type World } from '../simulation/world.ts';

const ORDER = 'ord_0_0';
/** More steps than any one thing takes. */
const MAX_STEPS = 20;

const steps = (step: () => boolean): void => {
  for (let i = 0; i < MAX_STEPS && step(); i += 1);
};
/** Payment's work, until there is none; nobody else hears of it yet. */
const work = (world: World): void => steps(() => world.go(0, 'none') || world.payment.work(0));

export const STARTS: Record<string, (paymentMethod: string) => World> = {
  'a placed order': placed,
  'a paid order': (paymentMethod) => {
    const world = placed(paymentMethod || 'pm_card_visa');
    work(world);
    steps(() => world.deliver(0, true, false) || world.relay(0, true));
    return world;
  },
};

export const HAPPENINGS: Record<string, (world: World) => void> = {
  'the buyer pays': (world) => {
    world.payment.pay(ORDER, 'pm_card_visa');
    work(world);
  },
  'the buyer cancels': (world) => world.orders.cancel(ORDER),
  'a part is refunded': (world) => world.orders.refund(ORDER, 1, false),
  'a unit of each line is given back': (world) => world.orders.refund(ORDER, 2, true),
  'all is given back': (world) => world.orders.refund(ORDER, 0, true),
  'it is shipped': (world) => world.orders.fulfill(ORDER),
  'the buyer disputes it': (world) => world.provider.dispute(0),
  'the time to pay is over': (world) => {
    world.passTo('due', 0);
    world.orders.expire();
  },
  'its hold is over': (world) => {
    world.passTo('hold', 0);
    world.inventory.expireHolds();
  },
  'its hold is given back, and others take the stock': (world) => {
    world.inventory.release(ORDER);
    world.inventory.adjust('MUG', 0);
  },
  'payment does its work': work,
};

export const CASES = Object.keys(STARTS).flatMap((start) => {
  const names = Object.keys(HAPPENINGS);
  return names.flatMap((one) => names.filter((other) => other !== one).map((other) => ({ start, one, other })));
});

/** Where all ends when the letters arrive as these dice fall; throws when a promise is broken. */
export function endOf({ start, one, other }: (typeof CASES)[number], seed: number): unknown {
  const world = (STARTS[start] as (typeof STARTS)[string])('');
  const check = watch(world);
  for (const name of [one, other]) {
    (HAPPENINGS[name] as (typeof HAPPENINGS)[string])(world);
    check();
  }
  world.settle(throwing(seed));
  check();
  checkEnd(world);
  const order = world.orders.get(ORDER);
  return { state: order?.state, paymentState: order?.paymentState, stock: world.inventory.stocks().map(({ sku, onHand, reserved }) => ({ sku, onHand, reserved })), kept: world.provider.captured(ORDER).length * Number(order?.total) - world.provider.refunded(ORDER).reduce((sum, { amount }) => sum + amount, 0) };
}

function placed(paymentMethod: string): World {
  const world = createWorld({ stock: [4, 2], webhooks: true, searchLagMs: 0, slowMailMs: 0, shuffled: true });
  steps(() => world.relay(0, true) || world.deliver(0, true, false));
  world.orders.order(0, 0, paymentMethod);
  steps(() => world.go(0, 'none'));
  steps(() => world.relay(0, true) || world.deliver(0, true, false));
  return world;
}
