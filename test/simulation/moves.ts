// What may happen, as plain data: a schedule is a list of moves, and can be kept, shortened and read.
import type { Dice } from './dice.ts';
import { SKUS } from './inventory.ts';
import { BUYERS } from './orders.ts';
import { METHODS } from './provider.ts';
import { ACCIDENTS, HOUR, MINUTE, type Scene } from './stage.ts';
import type { World } from './world.ts';

/** A name and two numbers, whose meaning is the move's; a move that can't be made does nothing. */
export type Move = readonly [name: string, a: number, b: number];
export type Schedule = { scene: Scene; moves: readonly Move[] };

/** Leases of payments end after 20 s, of mails after 30 s; orders are due after 30 min, holds end after 35, keys after 24 h. */
const JUMPS_MS = [1_000, 6_000, 21_000, 65_000, 10 * MINUTE, 29 * MINUTE, 36 * MINUTE, 25 * HOUR];
const PICKS = 12;
const SHORTEST = 8;

type Kind = { weight: number; make: (world: World, a: number, b: number) => void };
/** One of the orders there are. */
const someOrder = ({ orders }: World, pick: number): string => orders.all()[pick % Math.max(1, orders.all().length)]?.orderId ?? '';
const even = (n: number): boolean => n % 2 === 0;
const seldom = (n: number): boolean => n % PICKS === PICKS - 1;

export const MOVES: Record<string, Kind> = {
  // Work goes on, one step at a time, mostly without an accident; where there is none, what comes before it.
  go: { weight: 34, make: (world, a) => world.go(a, 'none') || world.payment.work(a) || world.deliver(a, true, false) },
  mishap: { weight: 12, make: (world, a, b) => (world.go(a, world.accident(1 + (b % (ACCIDENTS.length - 1)))) || world.payment.work(a)) },
  relay: { weight: 6, make: (world, a, b) => world.relay(a, !seldom(b)) },
  deliver: { weight: 26, make: (world, a, b) => world.deliver(a, !seldom(b), false) || world.relay(a, true) },
  work: { weight: 12, make: (world, a) => world.payment.work(a) || world.relay(a, true) },
  send: { weight: 5, make: (world) => world.notification.send() },
  lookUp: { weight: 2, make: (world) => world.notification.lookUp() },
  webhook: { weight: 7, make: (world, a, b) => world.webhook(a, !seldom(b)) },
  // What people do.
  order: { weight: 8, make: (world, a, b) => world.orders.order(a % BUYERS, seldom(b) ? 1 : 0, METHODS[b % METHODS.length] as string) },
  retry: { weight: 3, make: (world, a) => world.orders.retry(a) },
  cancel: { weight: 4, make: (world, a) => world.orders.cancel(someOrder(world, a)) },
  fulfill: { weight: 2, make: (world, a) => world.orders.fulfill(someOrder(world, a)) },
  refund: { weight: 7, make: (world, a, b) => world.orders.refund(someOrder(world, a), b % 3, even(b >> 2)) },
  repeatRefund: { weight: 1, make: (world, a) => world.orders.repeatRefund(a) },
  pay: { weight: 7, make: (world, a, b) => world.payment.pay(someOrder(world, a), METHODS[b % (METHODS.length - 1)] as string) },
  release: { weight: 1, make: (world, a) => world.inventory.release(someOrder(world, a)) },
  adjust: { weight: 2, make: (world, a, b) => world.inventory.adjust(SKUS[a % SKUS.length] as string, b % 3) },
  rename: { weight: 1, make: (world, a, b) => world.catalogue.rename(SKUS[a % SKUS.length] as string, `Name ${b}`) },
  archive: { weight: 0.25, make: (world, a) => world.catalogue.archive(SKUS[a % SKUS.length] as string) },
  // Banks and the provider's own people.
  bank: { weight: 3, make: (world, a, b) => world.provider.answer(a, !even(b)) },
  dispute: { weight: 1, make: (world, a) => world.provider.dispute(a) },
  closeDispute: { weight: 1, make: (world) => world.provider.closeDispute() },
  mailHook: { weight: 1, make: (world, a, b) => world.notification.hook(a, seldom(b)) },
  // Loops, clocks and deaths.
  expireOrders: { weight: 2, make: (world) => world.orders.expire() },
  expireHolds: { weight: 2, make: (world) => world.inventory.expireHolds() },
  reconcile: { weight: 1.5, make: (world) => world.payment.reconcile() },
  pass: { weight: 6, make: (world, a) => world.pass(JUMPS_MS[a % JUMPS_MS.length] as number) },
  passTo: { weight: 2, make: (world, a, b) => world.passTo(even(a) ? 'due' : 'hold', b % 3) },
  crash: { weight: 4, make: (world, a) => world.crash(world.stage.tasks[a % Math.max(1, world.stage.tasks.length)]?.service ?? 'order') },
  die: { weight: 1, make: (world, a) => world.deliver(a, false, true) },
  poison: { weight: 1, make: (world, a) => world.poison(a) },
  replay: { weight: 1, make: (world, a) => world.replay(a) },
  settle: { weight: 1, make: (world) => world.settle() },
};

/** Profiles that look harder at one corner: other weights, and moves to begin with. */
export type Profile = { name: string; weights?: Record<string, number>; start?: (dice: Dice) => Move[]; length: number };

const repeat = (move: Move, times: number): Move[] => Array.from({ length: times }, () => move);
/** The products are known, and the first buyer's order is in, to be paid with the method numbered `with`. */
const placedWith = (method: number): Move[] => [['relay', 0, 0], ...repeat(['deliver', 0, 0], 2), ['order', 0, method], ...repeat(['go', 0, 0], 4), ['relay', 0, 0], ['deliver', 0, 0]];

export const PROFILES: Record<'all' | 'E15' | 'E21', Profile> = {
  all: { name: 'anything, anywhere', length: 80 },
  E15: {
    name: 'the provider repeats a stored 500 for a key, and forgets keys after a day', length: 60,
    weights: { mishap: 30, pass: 12, work: 20, refund: 8, cancel: 4, crash: 6 },
    // Its first call meets an accident of some kind.
    start: (dice) => [...placedWith(dice.below(METHODS.length)), ['work', 0, 0], ['mishap', 0, dice.below(PICKS)]],
  },
  E21: {
    name: 'a payment succeeds at the instant at which its time to pay, or its hold, is over', length: 40,
    weights: { passTo: 12, expireOrders: 12, expireHolds: 12, bank: 12, webhook: 12, adjust: 8, pass: 1, crash: 2, order: 4 },
    start: () => [...placedWith(4), ['work', 0, 0], ['go', 0, 0], ['go', 0, 0], ['go', 0, 0], ['passTo', 1, 2]],
  },
};

/** Names as often as they weigh, so that one throw finds one. */
function urnOf({ weights = {} }: Profile): string[] {
  return Object.entries(MOVES).flatMap(([name, { weight }]) => Array.from({ length: Math.round(4 * (weights[name] ?? weight)) }, () => name));
}

const urns = new Map<Profile, string[]>();

export function drawSchedule(dice: Dice, profile: Profile): Schedule {
  const urn = urns.get(profile) ?? urnOf(profile);
  urns.set(profile, urn);
  const scene: Scene = {
    stock: [3 + dice.below(4), 1 + dice.below(2)], webhooks: dice.chance(0.7), searchLagMs: dice.chance(0.5) ? 0 : MINUTE,
    slowMailMs: dice.chance(0.5) ? 0 : 40_000, shuffled: dice.chance(0.5),
  };
  const start = profile.start?.(dice) ?? (dice.chance(0.7) ? placedWith(dice.below(METHODS.length)) : []);
  const draw = (): Move => [urn[dice.below(urn.length)] as string, dice.below(PICKS), dice.below(PICKS)];
  return { scene, moves: [...start, ...Array.from({ length: SHORTEST + dice.below(profile.length - SHORTEST) }, draw)] };
}

export function make(world: World, [name, a, b]: Move): void {
  (MOVES[name] as Kind).make(world, a, b);
}
