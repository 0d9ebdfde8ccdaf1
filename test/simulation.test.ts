// The same events in any order, any number of times, with crashes and lost replies: all five services end in the same state.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createWorld, type World } from './simulation/world.ts';

/** More with MILLRACE_RUNS; a failure prints its seed and the shortest schedule that shows it. */
const RUNS = Number(process.env['MILLRACE_RUNS'] ?? 3_000);

type Move = (world: World) => void;
const accident = fc.record({ lost: fc.boolean(), crash: fc.boolean(), declined: fc.boolean() });
const named = (name: string, move: Move): Move => Object.assign(move, { [fc.toStringMethod]: () => name });

const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 10, arbitrary: fc.tuple(fc.nat(20), fc.boolean()).map(([pick, keep]) => named(`deliver(${pick}, ${keep})`, (world) => world.deliver(pick, keep))) },
  { weight: 8, arbitrary: accident.map((how) => named(`runPayment(${JSON.stringify(how)})`, (world) => world.runPayment(how))) },
  { weight: 3, arbitrary: fc.constant(named('webhook()', (world) => world.webhook())) },
  { weight: 1, arbitrary: fc.constant(named('expireOrder()', (world) => world.expireOrder())) },
  { weight: 1, arbitrary: fc.constant(named('cancelOrder()', (world) => world.cancelOrder())) },
  { weight: 1, arbitrary: fc.constant(named('expireHold()', (world) => world.expireHold())) },
  { weight: 1, arbitrary: fc.constant(named('otherBuyer()', (world) => world.otherBuyer())) },
  { weight: 2, arbitrary: fc.constant(named('confirmPayment()', (world) => world.confirmPayment())) },
  { weight: 1, arbitrary: fc.bigInt(1n, 1_500n).map((amount) => named(`refund(${amount})`, (world) => world.refund(amount))) },
);
const scene = fc.record({ stock: fc.integer({ min: 3, max: 4 }), quantity: fc.constant(3), paymentMethod: fc.constantFrom('', 'pm_card_visa') });

function play(world: World, moves: Move[]): void {
  for (const step of moves) {
    step(world);
    check(world);
  }
}

/** What holds at every moment. */
function check(world: World): void {
  const { stock, provider, order, versions } = world.look();
  expect(stock.reserved).toBeGreaterThanOrEqual(0);
  expect(stock.onHand).toBeGreaterThanOrEqual(stock.reserved);
  expect(provider.captures()).toBeLessThanOrEqual(1);
  expect(provider.refunded()).toBeLessThanOrEqual(order.total);
  expect(versions.order).toEqual(versions.order.map((_, i) => i + 1));
  // 1 is the opening, which says nothing.
  expect(versions.payment).toEqual(versions.payment.map((_, i) => i + 2));
}

/** What holds when everything has settled. */
function checkEnd(world: World): void {
  const { order, reservation, account, provider, messages, versions, stock } = world.look();
  check(world);
  expect(['CONFIRMED', 'CANCELLED']).toContain(order.state);
  expect(versions.states.join(' → ')).toMatch(/^PENDING_PAYMENT → (CONFIRMED|CANCELLED|CONFIRMED → CANCELLED)$/);
  const captured = provider.captures() === 1 ? order.total : 0n;
  const kept = captured - provider.refunded();
  if (order.state === 'CANCELLED') {
    // Paid ⇒ confirmed, or refunded; and whatever was held or sold is back.
    expect(kept).toBe(0n);
    expect(['RELEASED', 'RESTOCKED']).toContain(reservation?.state);
    expect(order.paymentState).toBe(captured > 0n ? 'REFUNDED' : order.paymentState);
    expect(messages.has('ord_1:order_cancelled:email')).toBe(true);
  } else {
    expect(captured).toBe(order.total);
    expect(reservation?.state).toBe('COMMITTED');
    expect(order.stockCommitted).toBe(true);
    expect(messages.has('ord_1:payment_confirmation:email')).toBe(true);
  }
  expect(stock.reserved).toBe(0);
  // Orders, payments and the provider's own records agree, three ways.
  expect(account?.payment.captured).toBe(captured);
  expect(account?.payment.refunded).toBe(provider.refunded());
  expect(order.payment.captured).toBe(captured);
  expect(order.payment.refunded).toBe(provider.refunded());
  expect(messages.has('ord_1:order_confirmation:email')).toBe(true);
}

test('whatever happens in whatever order, everything settles and all services agree', () => {
  fc.assert(
    fc.property(scene, fc.array(move, { maxLength: 40 }), fc.array(move, { maxLength: 15 }), (setting, moves, later) => {
      const world = createWorld(setting);
      for (const part of [moves, later]) {
        play(world, part);
        world.settle();
        checkEnd(world);
      }
    }),
    { numRuns: RUNS },
  );
});

test('the order in which letters arrive does not change the end', () => {
  fc.assert(
    fc.property(scene, fc.array(move, { maxLength: 20 }), fc.array(fc.tuple(fc.nat(20), fc.boolean()), { maxLength: 60 }), (setting, moves, shuffle) => {
      // The same history twice; then what is still under way arrives in order in one world, shuffled and repeated in the other.
      const [straight, crossed] = [createWorld(setting), createWorld(setting)];
      play(straight, moves);
      play(crossed, moves);
      for (const [pick, keep] of shuffle) crossed.deliver(pick, keep);
      straight.settle();
      crossed.settle();
      const end = (world: World) => {
        const { order, stock, account, provider } = world.look();
        return { state: order.state, paymentState: order.paymentState, stock: [stock.onHand, stock.reserved], payment: account?.payment.state, kept: provider.captures() > 0 ? order.total - provider.refunded() : 0n };
      };
      expect(end(crossed)).toEqual(end(straight));
    }),
    { numRuns: RUNS },
  );
});

test('the schedules reach what they are meant to test', () => {
  const seen = new Map<string, number>();
  const count = (what: string, yes: boolean) => void (yes && seen.set(what, (seen.get(what) ?? 0) + 1));
  fc.assert(
    fc.property(scene, fc.array(move, { maxLength: 40 }), fc.array(move, { maxLength: 15 }), (setting, moves, later) => {
      const world = createWorld(setting);
      for (const part of [moves, later]) {
        play(world, part);
        world.settle();
      }
      const { order, reservation, provider } = world.look();
      count('confirmed', order.state === 'CONFIRMED');
      count('cancelled', order.state === 'CANCELLED');
      count('paid and cancelled', order.state === 'CANCELLED' && provider.captures() === 1);
      count('out of stock', order.cancelCause === 'OUT_OF_STOCK');
      count('sold after the hold was lost', world.said().some((event) => event.type === 'released') && reservation?.state === 'COMMITTED');
      count('partly refunded', order.paymentState === 'PARTIALLY_REFUNDED');
    }),
    { numRuns: RUNS, seed: 1 },
  );
  expect([...seen.keys()].toSorted()).toEqual(['cancelled', 'confirmed', 'out of stock', 'paid and cancelled', 'partly refunded', 'sold after the hold was lost']);
});
