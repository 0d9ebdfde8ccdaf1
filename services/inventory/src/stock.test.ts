import { describe, expect, it } from 'vitest';
import { adjustment, move, open, rename, settle, type Stock } from './stock.ts';

const now = new Date('2026-11-23T10:00:00Z');
const cause = { reason: '', actor: 'test' };
const blank: Stock = { sku: 'a', name: '', onHand: 0, reserved: 0, threshold: 0, low: false, discontinued: false, opened: false, productVersion: 0, version: 0, updateTime: now };
const full: Stock = { ...blank, name: 'A', onHand: 10, threshold: 3, opened: true, productVersion: 1, version: 1 };
const product = { sku: 'a', version: 1, name: 'A', initialStock: 10, lowStockThreshold: 3 };

describe('opening', () => {
  it('books the initial stock once', () => {
    const { stock, movement } = open(blank, product, cause);
    expect(stock).toMatchObject({ opened: true, name: 'A', threshold: 3, productVersion: 1 });
    expect(movement).toMatchObject({ kind: 'OPENED', onHandDelta: 10, reservedDelta: 0 });
    expect(open(stock, product, cause).movement).toBeUndefined();
  });

  it('keeps a newer name that came before it', () => {
    expect(open(rename(blank, 'A2', 2), product, cause).stock).toMatchObject({ name: 'A2', productVersion: 2, opened: true });
  });
});

describe('an adjustment', () => {
  it('never goes below what is reserved', () => {
    const stock = { ...full, reserved: 4 };
    expect(adjustment(stock, -6, cause)).toMatchObject({ kind: 'ADJUSTED', onHandDelta: -6 });
    expect(() => adjustment(stock, -7, cause)).toThrow(expect.objectContaining({ reason: 'STOCK_BELOW_RESERVED', metadata: { sku: 'a', on_hand: '10', reserved: '4' } }));
  });

  it('never goes beyond what the contract can carry', () => {
    expect(() => adjustment(full, 1_000_000_000, cause)).toThrow(expect.objectContaining({ reason: 'INVALID_FIELD' }));
  });
});

it('a movement that would oversell throws', () => {
  expect(() => move(full, { sku: 'a', kind: 'HELD', onHandDelta: 0, reservedDelta: 11, orderId: 'o', ...cause })).toThrow('11 reserved of 10');
});

describe('the alert', () => {
  const at = (onHand: number, changes: Partial<Stock> = {}): Stock => ({ ...full, onHand, ...changes });

  it('opens at the threshold, once', () => {
    expect(settle(at(4), at(3), now)).toMatchObject({ alert: 'LOW', stock: { low: true, version: 2 } });
    expect(settle(at(3, { low: true }), at(1, { low: true }), now).alert).toBeUndefined();
  });

  it('closes above the threshold', () => {
    expect(settle(at(3, { low: true }), at(4, { low: true }), now)).toMatchObject({ alert: 'RECOVERED', stock: { low: false } });
  });

  it('follows a changed threshold', () => {
    expect(settle(at(4), at(4, { threshold: 4 }), now).alert).toBe('LOW');
    expect(settle(at(0, { low: true }), at(0, { low: true, threshold: 0 }), now)).toMatchObject({ alert: undefined, stock: { low: false } });
  });

  it('is silent about archived products', () => {
    expect(settle(at(4), at(1, { discontinued: true }), now)).toMatchObject({ alert: undefined, stock: { low: false } });
    expect(settle(at(1, { low: true }), at(1, { low: true, discontinued: true }), now)).toMatchObject({ alert: undefined, stock: { low: false } });
  });

  it('a change of name alone is no change of the level', () => {
    expect(settle(full, rename(full, 'B', 2), now)).toMatchObject({ changed: false, stock: { name: 'B', version: 1 } });
  });
});
