import { expect, it } from 'vitest';
import { decideBatch, type ImportRow } from './import-products.ts';
import { archiveProduct, newProduct, type Details } from './product.ts';

const now = new Date('2026-11-23T10:00:00Z');
const details: Details = { name: 'Lamp', description: '', price: { currencyCode: 'EUR', minorUnits: 1999n }, attributes: {}, imageUrl: '' };
const row = (sku: string, changes: Partial<Details> = {}, revision = 0): ImportRow => ({ sku, details: { ...details, ...changes }, revision, opening: { initialStock: 5, lowStockThreshold: 1 } });

it('a sku that comes twice is created and then updated, with an event for each revision', () => {
  const { products, events, outcomes } = decideBatch(new Map(), [row('a'), row('b'), row('a', { name: 'Desk lamp' }), row('a', { name: 'Desk lamp' })], now);
  expect(outcomes).toEqual(['created', 'created', 'updated', 'unchanged']);
  expect(products.map(({ sku, name, revision }) => [sku, name, revision])).toEqual([['a', 'Desk lamp', 2], ['b', 'Lamp', 1]]);
  expect(events.map((event) => [event.subject, event.aggregateVersion])).toEqual([['products.created.a', 1], ['products.created.b', 1], ['products.updated.a', 2]]);
});

it('a refused row says why and leaves its neighbours alone', () => {
  const known = new Map([['old', archiveProduct(newProduct('old', details, now), now)], ['a', newProduct('a', details, now)]]);
  const { outcomes, products } = decideBatch(known, [row('old'), row('', { name: '' }), { sku: '?', refusal: 'sku does not match' }, row('a', { name: 'x' }, 7), row('b')], now);
  expect(outcomes).toEqual([
    { sku: 'old', message: 'product old is archived' },
    { sku: '', message: 'name must be set' },
    { sku: '?', message: 'sku does not match' },
    { sku: 'a', message: 'product a was changed since: its revision is 1' },
    'created',
  ]);
  expect(products.map(({ sku }) => sku)).toEqual(['b']);
});
