import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { orderIdOf } from './order-id.ts';
import { priceLines, type Product } from './pricing.ts';
import { inWords } from './wire.ts';

const product = (sku: string, amount: bigint, change: Partial<Product> = {}): [string, Product] => [sku, { sku, name: sku.toUpperCase(), price: { currency: 'EUR', amount }, archived: false, ...change }];
const catalogue = new Map([product('mug', 1_500n), product('cap', 2_000n), product('old', 1n, { archived: true }), product('usd', 1n, { price: { currency: 'USD', amount: 1n } }), product('car', 1_000_000_000_000n)]);
const failure = (act: () => unknown): unknown => {
  try {
    return act();
  } catch (error) {
    return error;
  }
};

describe('pricing', () => {
  test('sums lines of the same sku into one and adds up exactly', () => {
    expect(priceLines([{ sku: 'mug', quantity: 1 }, { sku: 'cap', quantity: 3 }, { sku: 'mug', quantity: 2 }], catalogue)).toEqual({
      currency: 'EUR', total: 10_500n,
      lines: [{ sku: 'mug', quantity: 3, name: 'MUG', unitPrice: 1_500n }, { sku: 'cap', quantity: 3, name: 'CAP', unitPrice: 2_000n }],
    });
  });

  test.each([
    ['an unknown product', [{ sku: 'mug', quantity: 1 }, { sku: 'hat', quantity: 1 }], 'UNKNOWN_SKU', { sku: 'hat' }],
    ['an archived product', [{ sku: 'old', quantity: 1 }], 'PRODUCT_ARCHIVED', { sku: 'old' }],
    ['two currencies', [{ sku: 'usd', quantity: 1 }, { sku: 'mug', quantity: 1 }], 'MIXED_CURRENCIES', { currencies: 'EUR,USD' }],
    ['a total beyond the contract', [{ sku: 'car', quantity: 1 }, { sku: 'mug', quantity: 1 }], 'TOTAL_TOO_LARGE', {}],
    ['a total beyond 64 bits', [{ sku: 'car', quantity: 1_000_000 }], 'TOTAL_TOO_LARGE', {}],
    ['more units than a line may have, in several lines', [{ sku: 'mug', quantity: 1_000_000 }, { sku: 'mug', quantity: 1 }], 'INVALID_FIELD', { sku: 'mug' }],
  ])('refuses %s', (_, lines, reason, metadata) => {
    expect(failure(() => priceLines(lines, catalogue))).toMatchObject({ reason, metadata });
  });

  test('refuses another total or currency than the buyer saw', () => {
    const lines = [{ sku: 'mug', quantity: 2 }];
    expect(priceLines(lines, catalogue, { currency: 'EUR', amount: 3_000n }).total).toBe(3_000n);
    const metadata = { expected: '2999', actual: '3000', currency: 'EUR' };
    expect(failure(() => priceLines(lines, catalogue, { currency: 'EUR', amount: 2_999n }))).toMatchObject({ reason: 'PRICE_CHANGED', metadata });
    expect(failure(() => priceLines(lines, catalogue, { currency: 'USD', amount: 3_000n }))).toMatchObject({ reason: 'PRICE_CHANGED' });
  });
});

describe('the id of an order', () => {
  test('is the same for the same request and another for any other', () => {
    fc.assert(
      fc.property(fc.tuple(fc.string(), fc.string(), fc.string()), fc.tuple(fc.string(), fc.string(), fc.string()), (one, other) => {
        expect(orderIdOf(...one)).toMatch(/^ord_[a-z2-7]{26}$/);
        expect(orderIdOf(...one) === orderIdOf(...other)).toBe(one.every((part, i) => part === other[i]));
      }),
    );
    expect(orderIdOf('a', 'bc', 'd')).not.toBe(orderIdOf('ab', 'c', 'd'));
  });

  test('stands where its request id stands in time, if that has one', () => {
    const uuid = fc.uuid({ version: 7 });
    fc.assert(
      fc.property(uuid, uuid, fc.string(), (one, other, body) => {
        const [id, otherId] = [orderIdOf('a', one, body), orderIdOf('a', other, body)];
        expect(id).toMatch(/^ord_[a-z2-7]{28}$/);
        expect(orderIdOf('a', one, body)).toBe(id);
        expect(orderIdOf('b', one, body)).not.toBe(id);
        const time = (uuidText: string) => BigInt(`0x${uuidText.replaceAll('-', '').slice(0, 12)}`) >> 8n;
        if (time(one) < time(other)) expect(id < otherId).toBe(true);
        if (time(one) === time(other)) expect(id.slice(0, 12)).toBe(otherId.slice(0, 12));
      }),
    );
    expect(orderIdOf('a', '01234567-89ab-4cde-8fab-0123456789ab', '')).toMatch(/^ord_[a-z2-7]{26}$/);
  });
});

test('amounts are written with the places of their currency', () => {
  expect([inWords(1_999n, 'EUR'), inWords(5n, 'EUR'), inWords(500n, 'JPY'), inWords(1_234n, 'KWD')]).toEqual(['19.99 EUR', '0.05 EUR', '500 JPY', '1.234 KWD']);
});
