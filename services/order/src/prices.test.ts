import { expect, test } from 'vitest';
import { createPrices } from './prices.ts';
import type { Product } from './pricing.ts';

const euros = (amount: bigint) => ({ currency: 'EUR', amount });
const lines = [{ sku: 'MUG', quantity: 2 }];

/** A product service that counts its calls. */
function shop(amount = 500n) {
  const product: Product = { sku: 'MUG', name: 'Mug', price: euros(amount), archived: false };
  const asked: string[][] = [];
  const state = { product: product as Product | undefined, meanwhile: () => {} };
  const prices = createPrices(async (skus) => {
    asked.push(skus);
    const answer = new Map(state.product ? [['MUG', state.product]] : []);
    state.meanwhile();
    return answer;
  });
  return { prices, asked, state, product };
}

test('a buyer who names the total gets the remembered price; one who does not gets a fresh one', async () => {
  const { prices, asked } = shop();
  await prices.price(lines);
  expect(await prices.price(lines, euros(1_000n))).toMatchObject({ total: 1_000n });
  expect(asked).toHaveLength(1);
  await prices.price(lines);
  expect(asked).toHaveLength(2);
});

test('no refusal rests on a remembered price', async () => {
  const { prices, state, product } = shop();
  await prices.price(lines);
  state.product = { ...product, price: euros(600n) };
  expect(await prices.price(lines, euros(1_200n))).toMatchObject({ total: 1_200n });
  await expect(prices.price(lines, euros(1_000n))).rejects.toMatchObject({ reason: 'PRICE_CHANGED' });
});

test('a price that has changed is forgotten, also when the old one was under way', async () => {
  const { prices, state, asked, product } = shop();
  await prices.price(lines);
  prices.forget('MUG');
  state.meanwhile = () => prices.forget('MUG');
  await prices.price(lines, euros(1_000n));
  state.product = { ...product, archived: true };
  await expect(prices.price(lines, euros(1_000n))).rejects.toMatchObject({ reason: 'PRODUCT_ARCHIVED' });
  expect(asked).toHaveLength(3);
});

test('what product does not know is not remembered', async () => {
  const { prices, state, product } = shop();
  state.product = undefined;
  await expect(prices.price(lines, euros(1_000n))).rejects.toMatchObject({ reason: 'UNKNOWN_SKU' });
  state.product = product;
  expect(await prices.price(lines, euros(1_000n))).toMatchObject({ total: 1_000n });
});
