import { expect, test } from 'vitest';
import { DEFAULT_SEED, demoCatalogue } from './catalogue.ts';

test('the catalogue is the same every time, so that a second seeding changes nothing', () => {
  expect(demoCatalogue(30)).toEqual(demoCatalogue(30));
  expect(demoCatalogue(30).slice(0, DEFAULT_SEED)).toEqual(demoCatalogue(DEFAULT_SEED));
});

test('skus and request ids are unique and valid however many are asked for', () => {
  const products = demoCatalogue(1_000);
  expect(new Set(products.map(({ product }) => product.sku)).size).toBe(1_000);
  expect(new Set(products.map(({ requestId }) => requestId)).size).toBe(1_000);
  for (const { product, requestId } of products) {
    expect(product.sku).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
    expect(requestId.length).toBeLessThanOrEqual(64);
  }
});
