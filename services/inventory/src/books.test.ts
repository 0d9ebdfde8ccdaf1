// Properties of the stock under any history: steps of many orders in one set of books after the other, as transactions would do them.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Books, LostRaceError } from './books.ts';
import * as facts from './facts.ts';
import { commit, expire, hold, release, summed, type Line, type Reservation } from './reservation.ts';
import { decide } from './reserve-stock.ts';
import { adjustment, available, type Movement, type Stock } from './stock.ts';

const now = new Date('2026-11-23T10:00:00Z');
const muchLater = new Date('2026-11-24T10:00:00Z');
const cause = { reason: '', actor: 'test' };
const SKUS = ['a', 'b', 'c'];
const ORDERS = ['o1', 'o2', 'o3', 'o4', 'o5'];

/** A database without the database. */
class World {
  readonly stocks = new Map<string, Stock>();
  readonly reservations = new Map<string, Reservation>();
  readonly movements: Movement[] = [];
  readonly alerts: string[] = [];

  transaction<T>(at: Date, work: (books: Books) => T): T {
    const books = new Books(at, this.stocks.values(), this.reservations.values());
    const result = work(books);
    const { stocks, added, changed, movements } = books.close();
    for (const { stock, alert } of stocks) {
      if (stock.version > (this.stocks.get(stock.sku)?.version ?? 0) + 1) throw new Error('a transaction counts one version');
      this.stocks.set(stock.sku, stock);
      if (alert !== undefined) this.alerts.push(`${stock.sku} ${alert}`);
    }
    for (const reservation of [...added, ...changed]) this.reservations.set(reservation.orderId, reservation);
    this.movements.push(...movements);
    return result;
  }

  makeRecord(sku: string): void {
    if (this.stocks.has(sku)) return;
    this.stocks.set(sku, { sku, name: '', onHand: 0, reserved: 0, threshold: 0, low: false, discontinued: false, opened: false, productVersion: 0, version: 0, updateTime: now });
  }
}

function openWorld(onHand: number, threshold = 2): World {
  const world = new World();
  for (const sku of SKUS) {
    world.makeRecord(sku);
    world.transaction(now, (books) => facts.productCreated(books, { sku, version: 1, name: sku, initialStock: onHand, lowStockThreshold: threshold }, cause));
  }
  return world;
}

const orderId = fc.constantFrom(...ORDERS);
const lines: fc.Arbitrary<Line[]> = fc.array(fc.record({ sku: fc.constantFrom(...SKUS, 'unknown'), quantity: fc.integer({ min: 1, max: 4 }) }), { minLength: 1, maxLength: 4 });
const step = fc.oneof(
  fc.record({ do: fc.constant('hold' as const), orderId, lines }),
  fc.record({ do: fc.constantFrom('pay' as const, 'cancel' as const, 'expire' as const, 'release' as const), orderId }),
  fc.record({ do: fc.constant('refund' as const), orderId, refundId: fc.constantFrom('r1', 'r2'), restockLines: lines }),
  fc.record({ do: fc.constant('adjust' as const), sku: fc.constantFrom(...SKUS), delta: fc.integer({ min: -5, max: 5 }) }),
);

function run(books: Books, action: typeof step extends fc.Arbitrary<infer A> ? A : never): void {
  try {
    switch (action.do) {
      case 'hold':
        return books.take(hold(books.reservation(action.orderId), { ...action, actor: 'test' }, books.levelOf, books.now));
      case 'adjust': {
        const stock = books.levelOf(action.sku);
        return stock && books.book(adjustment(stock, action.delta, cause));
      }
      case 'cancel':
        return facts.orderCancelled(books, action.orderId, cause);
      case 'refund':
        return books.reservation(action.orderId) && facts.refundRequested(books, action, cause);
      case 'pay':
        return books.reservation(action.orderId) && facts.orderPaid(books, action.orderId, cause);
      default: {
        const current = books.reservation(action.orderId);
        if (current !== undefined) books.take(action.do === 'expire' ? expire(current, muchLater, cause) : release(current, books.now, cause));
      }
    }
  } catch (error) {
    if (!(error instanceof Error && 'reason' in error)) throw error; // a refusal is an answer, anything else a defect
  }
}

it('never oversells, and the sums of the ledger are the levels, whatever happens', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 12 }), fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 12 }), (onHand, transactions) => {
      const world = openWorld(onHand);
      for (const steps of transactions) world.transaction(now, (books) => steps.forEach((action) => run(books, action)));
      for (const stock of world.stocks.values()) {
        const mine = world.movements.filter(({ sku }) => sku === stock.sku);
        const held = [...world.reservations.values()].filter(({ state }) => state === 'HELD').flatMap((reservation) => reservation.lines);
        expect(available(stock)).toBeGreaterThanOrEqual(0);
        expect(mine.reduce((sum, { onHandDelta }) => sum + onHandDelta, 0)).toBe(stock.onHand);
        expect(mine.reduce((sum, { reservedDelta }) => sum + reservedDelta, 0)).toBe(stock.reserved);
        expect(held.filter(({ sku }) => sku === stock.sku).reduce((sum, { quantity }) => sum + quantity, 0)).toBe(stock.reserved);
        expect(stock.low).toBe(available(stock) <= stock.threshold);
      }
      for (const sku of SKUS) {
        const mine = world.alerts.filter((alert) => alert.startsWith(sku));
        expect(mine.every((alert, i) => alert.endsWith(i % 2 === 0 ? 'LOW' : 'RECOVERED'))).toBe(true);
      }
    }),
    { numRuns: 400 },
  );
});

it('holds all lines of an order or none, and a refused order leaves its neighbours as if it had not come', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 8 }), fc.array(lines, { maxLength: 10 }), (onHand, baskets) => {
      const wishes = baskets.map((basket, i) => ({ orderId: `order${i}`, lines: basket, actor: 'test' }));
      const together = openWorld(onHand);
      const results = together.transaction(now, (books) => decide(books, wishes.map((wish) => ({ wish }))));
      const accepted = wishes.filter((_, i) => !(results[i] instanceof Error));
      for (const { orderId: id, lines: wanted } of accepted) expect(together.reservations.get(id)?.lines).toEqual(summed(wanted));
      expect(together.reservations.size).toBe(accepted.length);
      const alone = openWorld(onHand);
      for (const wish of accepted) expect(alone.transaction(now, (books) => decide(books, [{ wish }]))[0]).not.toBeInstanceOf(Error);
      for (const sku of SKUS) expect(alone.stocks.get(sku)).toMatchObject({ onHand, reserved: together.stocks.get(sku)?.reserved });
    }),
  );
});

type Fact = { name: string; apply: (books: Books) => void };

it('the same facts in any order, any number of times, end in the same stock', () => {
  const factsOf = (id: string, seed: Line[]): Fact[] => [
    { name: 'paid', apply: (books) => facts.orderPaid(books, id, cause) },
    { name: 'cancelled', apply: (books) => facts.orderCancelled(books, id, cause) },
    { name: 'expired', apply: (books) => run(books, { do: 'expire', orderId: id }) },
    { name: 'released', apply: (books) => run(books, { do: 'release', orderId: id }) },
    { name: 'refund 1', apply: (books) => facts.refundRequested(books, { orderId: id, refundId: 'r1', restockLines: seed }, cause) },
    { name: 'refund 2', apply: (books) => facts.refundRequested(books, { orderId: id, refundId: 'r2', restockLines: [{ sku: 'a', quantity: 1 }] }, cause) },
  ];
  const basket = fc.array(fc.record({ sku: fc.constantFrom(...SKUS), quantity: fc.integer({ min: 1, max: 4 }) }), { minLength: 1, maxLength: 3 });
  const scenario = fc.tuple(basket, basket, fc.subarray([0, 1, 2, 3, 4, 5]), fc.subarray([0, 1, 2, 3, 4, 5])).chain(([first, second, chosen, others]) => {
    const all = [...chosen.map((i) => factsOf('o1', second)[i]), ...others.map((i) => factsOf('o2', first)[i])].filter((fact) => fact !== undefined);
    return fc.record({ baskets: fc.constant([first, second]), oneWay: fc.constant(all), another: fc.shuffledSubarray([...all, ...all], { minLength: all.length * 2 }) });
  });
  fc.assert(
    fc.property(scenario, ({ baskets, oneWay, another }) => {
      const end = (told: Fact[]) => {
        const world = openWorld(100);
        world.transaction(now, (books) => decide(books, baskets.map((wanted, i) => ({ wish: { orderId: `o${i + 1}`, lines: wanted, actor: 'test' } }))));
        for (const fact of told) world.transaction(now, fact.apply);
        return [...world.stocks.values()].map(({ sku, onHand, reserved }) => ({ sku, onHand, reserved }));
      };
      expect(end(another)).toEqual(end(oneWay));
    }),
    { numRuns: 500 },
  );
});

it('the events of a product in any order, any number of times, end in the same record', () => {
  const told: Fact[] = [
    { name: 'created', apply: (books) => facts.productCreated(books, { sku: 'new', version: 1, name: 'first', initialStock: 7, lowStockThreshold: 9 }, cause) },
    { name: 'updated', apply: (books) => facts.productUpdated(books, { sku: 'new', version: 2, name: 'second' }) },
    { name: 'updated', apply: (books) => facts.productUpdated(books, { sku: 'new', version: 3, name: 'third' }) },
    { name: 'archived', apply: (books) => facts.productArchived(books, { sku: 'new' }) },
  ];
  fc.assert(
    fc.property(fc.shuffledSubarray([...told, ...told], { minLength: told.length * 2 }), (order) => {
      const world = new World();
      for (const fact of order) {
        world.makeRecord('new');
        world.transaction(now, fact.apply);
      }
      expect(world.stocks.get('new')).toMatchObject({ name: 'third', productVersion: 3, onHand: 7, reserved: 0, threshold: 9, low: false, discontinued: true, opened: true, version: 2 });
      expect(world.movements).toHaveLength(1);
    }),
  );
});

it('a step that touches stock that was not locked asks for another try', () => {
  const world = openWorld(5);
  const [held] = world.transaction(now, (books) => decide(books, [{ wish: { orderId: 'o1', lines: [{ sku: 'b', quantity: 1 }], actor: 'test' } }]));
  if (held === undefined || held instanceof Error) throw new Error('a reservation was expected');
  const books = new Books(now, [], [held]);
  expect(() => books.take(commit(held, books.levelOf, now, cause))).toThrow(LostRaceError);
});
