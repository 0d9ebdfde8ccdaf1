import { describe, expect, it } from 'vitest';
import { cancel, commit, expire, hold, release, takeBack, type Reservation, type Step } from './reservation.ts';
import type { Stock } from './stock.ts';

const now = new Date('2026-11-23T10:00:00Z');
const later = new Date('2026-11-23T12:00:00Z');
const cause = { reason: '', actor: 'test' };
const level = (sku: string, onHand: number, changes: Partial<Stock> = {}): Stock => ({
  sku, name: sku, onHand, reserved: 0, threshold: 0, low: false, discontinued: false, opened: true, productVersion: 1, version: 1, updateTime: now, ...changes,
});
const levels = (...stocks: Stock[]) => (sku: string) => stocks.find((stock) => stock.sku === sku);
const plenty = levels(level('a', 100), level('b', 100));
const lines = [{ sku: 'a', quantity: 2 }, { sku: 'b', quantity: 1 }];
const wish = { orderId: 'o1', lines, actor: 'order' };
const of = (step: Step | undefined): Reservation => {
  if (step === undefined) throw new Error('a step was expected');
  return step.reservation;
};
const held = of(hold(undefined, wish, plenty, now));
const committed = of(commit(held, plenty, now, cause));
const expired = of(expire(held, later, cause));
const cancelled = of(cancel(held, 'o1', now, cause));

describe('hold', () => {
  it('sums the lines per sku, sorts them and moves the reserved units', () => {
    const step = hold(undefined, { ...wish, lines: [{ sku: 'b', quantity: 1 }, { sku: 'a', quantity: 1 }, { sku: 'a', quantity: 1 }] }, plenty, now);
    expect(step?.reservation).toMatchObject({ state: 'HELD', lines, version: 1, holdUntil: new Date('2026-11-23T10:30:00Z') });
    expect(step?.movements).toMatchObject([{ sku: 'a', kind: 'HELD', onHandDelta: 0, reservedDelta: 2, orderId: 'o1', actor: 'order' }, { sku: 'b', reservedDelta: 1 }]);
    expect(step?.notices).toEqual([]);
  });

  it('repeated with the same lines changes nothing, held or sold', () => {
    expect(hold(held, wish, plenty, later)).toBeUndefined();
    expect(hold(committed, { ...wish, lines: [...lines].reverse() }, plenty, later)).toBeUndefined();
  });

  it('of an order whose hold expired is decided afresh', () => {
    expect(hold(expired, { ...wish, lines: [{ sku: 'b', quantity: 3 }] }, plenty, later)?.reservation).toMatchObject({ state: 'HELD', lines: [{ sku: 'b', quantity: 3 }], releaseReason: '', version: 3 });
    expect(() => hold(expired, wish, levels(), later)).toThrow(expect.objectContaining({ reason: 'UNKNOWN_SKU' }));
  });

  it.each([
    ['other lines', held, 'HELD'],
    ['a cancelled order', cancelled, 'RELEASED'],
    ['a hold given back by hand', of(release(held, now, cause)), 'RELEASED'],
    ['a restocked order', of(cancel(committed, 'o1', now, cause)), 'RESTOCKED'],
  ])('with %s is an illegal transition', (_name, current, state) => {
    expect(() => hold(current, { ...wish, lines: [{ sku: 'a', quantity: 9 }] }, plenty, later)).toThrow(expect.objectContaining({ reason: 'ILLEGAL_TRANSITION', metadata: { state: `RESERVATION_STATE_${state}` } }));
  });

  it.each([
    ['no record', levels(level('a', 9)), 'UNKNOWN_SKU', { sku: 'b' }],
    ['a record that is not open yet', levels(level('a', 9), level('b', 0, { opened: false })), 'UNKNOWN_SKU', { sku: 'b' }],
    ['an archived product', levels(level('a', 9), level('b', 9, { discontinued: true })), 'PRODUCT_ARCHIVED', { sku: 'b' }],
    ['too little available', levels(level('a', 9, { reserved: 8 }), level('b', 9)), 'OUT_OF_STOCK', { sku: 'a', requested: '2', available: '1' }],
  ])('is refused for %s', (_name, levelOf, reason, metadata) => {
    expect(() => hold(undefined, wish, levelOf, now)).toThrow(expect.objectContaining({ reason, metadata }));
  });
});

describe('commit', () => {
  it('sells what is held', () => {
    const step = commit(held, plenty, later, cause);
    expect(step?.movements.map(({ kind, onHandDelta, reservedDelta }) => [kind, onHandDelta, reservedDelta])).toEqual([['COMMITTED', -2, -2], ['COMMITTED', -1, -1]]);
    expect(step?.notices).toMatchObject([{ kind: 'COMMITTED', lines, reservation: { state: 'COMMITTED', version: 2 } }]);
  });

  it('takes a lost hold again while there is stock', () => {
    expect(commit(expired, plenty, later, cause)?.movements.map(({ onHandDelta, reservedDelta }) => [onHandDelta, reservedDelta])).toEqual([[-2, 0], [-1, 0]]);
  });

  it('of a lost hold whose stock is gone is a shortfall that moves nothing, said once', () => {
    const step = commit(expired, levels(level('a', 1), level('b', 9)), later, cause);
    expect(step).toMatchObject({ reservation: { state: 'RELEASED', releaseReason: 'SHORTFALL' }, movements: [], notices: [{ kind: 'SHORTFALL', lines }] });
    expect(commit(of(step), plenty, later, cause)).toBeUndefined();
  });

  it('of a cancelled or sold order does nothing', () => {
    for (const current of [cancelled, committed, of(cancel(expired, 'o1', later, cause))]) expect(commit(current, plenty, later, cause)).toBeUndefined();
  });
});

describe('cancel', () => {
  it('without a reservation leaves a tombstone that a late one is refused by', () => {
    const tombstone = of(cancel(undefined, 'o1', now, cause));
    expect(tombstone).toMatchObject({ state: 'RELEASED', releaseReason: 'ORDER_CANCELLED', lines: [], version: 1 });
    expect(() => hold(tombstone, wish, plenty, now)).toThrow(expect.objectContaining({ reason: 'ILLEGAL_TRANSITION' }));
  });

  it('restocks what was sold, less what refunds put back already', () => {
    const partly = of(takeBack(committed, 'r1', [{ sku: 'a', quantity: 1 }], later, cause));
    const step = cancel(partly, 'o1', later, cause);
    expect(step?.movements.map(({ sku, kind, onHandDelta }) => [sku, kind, onHandDelta])).toEqual([['a', 'RESTOCKED', 1], ['b', 'RESTOCKED', 1]]);
    expect(step?.notices).toMatchObject([{ kind: 'RELEASED', restocked: true, lines: [{ sku: 'a', quantity: 1 }, { sku: 'b', quantity: 1 }] }]);
    expect(cancel(of(step), 'o1', later, cause)).toBeUndefined();
  });
});

describe('a refund', () => {
  it('puts back at most what was sold, and each refund once', () => {
    const step = takeBack(committed, 'r1', [{ sku: 'a', quantity: 9 }, { sku: 'nonsense', quantity: 1 }], later, cause);
    expect(step?.movements).toMatchObject([{ sku: 'a', kind: 'RESTOCKED', onHandDelta: 2 }]);
    expect(step?.reservation.state).toBe('COMMITTED');
    expect(takeBack(of(step), 'r1', [{ sku: 'b', quantity: 1 }], later, cause)).toBeUndefined();
    expect(takeBack(of(step), 'r2', [{ sku: 'b', quantity: 1 }], later, cause)?.reservation.state).toBe('RESTOCKED');
  });

  it('that comes before the sale is booked with it', () => {
    const step = takeBack(held, 'r1', [{ sku: 'a', quantity: 1 }], now, cause);
    expect(step?.movements).toEqual([]);
    expect(commit(of(step), plenty, later, cause)?.movements.map(({ sku, onHandDelta }) => [sku, onHandDelta])).toEqual([['a', -2], ['b', -1], ['a', 1]]);
  });
});

describe('release', () => {
  it('gives a hold back once, and never what is sold', () => {
    const released = of(release(held, now, cause));
    expect(released).toMatchObject({ state: 'RELEASED', releaseReason: 'REQUESTED', version: 2 });
    expect(release(released, now, cause)).toBeUndefined();
    expect(() => release(committed, now, cause)).toThrow(expect.objectContaining({ reason: 'ILLEGAL_TRANSITION', metadata: { state: 'RESERVATION_STATE_COMMITTED' } }));
  });
});

describe('expiry', () => {
  it('ends a hold after its time and nothing else', () => {
    expect(expired).toMatchObject({ state: 'RELEASED', releaseReason: 'EXPIRED' });
    expect(expire(held, held.holdUntil, cause)).toBeUndefined();
    expect(expire(committed, later, cause)).toBeUndefined();
  });
});
