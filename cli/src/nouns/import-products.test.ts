import { expect, test } from 'vitest';
import { toRow } from './import-products.ts';

const values = { sku: 'mug', name: 'A mug', price: '19.99', currency: 'EUR' };

test('a row becomes a product with its stock', () => {
  expect(toRow({ line: 2, values: { ...values, description: 'Blue', initial_stock: '5', low_stock_threshold: '', 'attribute.colour': 'blue', 'attribute.size': '' } })).toMatchObject({
    product: { sku: 'mug', name: 'A mug', price: { currencyCode: 'EUR', minorUnits: 1999n }, description: 'Blue', attributes: { colour: 'blue' } },
    initialStock: 5,
    lowStockThreshold: undefined,
  });
});

test('the price may bring its currency along', () => {
  expect(toRow({ line: 2, values: { sku: 'mug', name: 'A mug', price: '500 JPY' } }).product).toMatchObject({ price: { currencyCode: 'JPY', minorUnits: 500n } });
});

test.each([
  [{ ...values, sku: '' }, 'line 7 has no sku'],
  [{ ...values, price: 'cheap' }, 'line 7: price must be an amount'],
  [{ ...values, initial_stock: 'many' }, 'line 7: initial_stock must be a whole number'],
  [{ ...values, colour: 'blue' }, 'the column "colour" is not known'],
])('%o is refused with its line', (row, message) => {
  expect(() => toRow({ line: 7, values: row })).toThrow(message);
});
