// What an order costs: pure, exact, and refused before any stock is held.
import { type OrderLine, type Quantity, sumUp } from './order.ts';

export type Money = { currency: string; amount: bigint };
export type Product = { sku: string; name: string; price: Money; archived: boolean };
export type Priced = { lines: OrderLine[]; currency: string; total: bigint };

/** The contract's bound on an amount of money. */
const MAX_TOTAL = 1_000_000_000_000n;
/** The contract's bound on a line's quantity holds for the sum of the lines of one sku too. */
const MAX_QUANTITY = 1_000_000;

export class InvalidLinesError extends Error {
  readonly reason: 'UNKNOWN_SKU' | 'PRODUCT_ARCHIVED' | 'MIXED_CURRENCIES' | 'TOTAL_TOO_LARGE' | 'INVALID_FIELD';
  readonly metadata: Record<string, string>;
  constructor(reason: InvalidLinesError['reason'], message: string, metadata: Record<string, string> = {}) {
    super(message);
    this.reason = reason;
    this.metadata = metadata;
  }
}

export class PriceChangedError extends Error {
  readonly reason = 'PRICE_CHANGED';
  readonly metadata: Record<string, string>;
  constructor(expected: Money, actual: Money) {
    super(`the total is ${actual.amount} ${actual.currency} now, not ${expected.amount} ${expected.currency}`);
    this.metadata = { expected: `${expected.amount}`, actual: `${actual.amount}`, currency: actual.currency };
  }
}

/** Prices lines, one per sku; throws what is wrong with them, first come first said. */
export function priceLines(wanted: Quantity[], catalogue: ReadonlyMap<string, Product>, expected?: Money): Priced {
  const positions = sumUp(wanted).map((line) => ({ line, product: onSale(line, catalogue) }));
  const currencies = [...new Set(positions.map(({ product }) => product.price.currency))].sort();
  const [currency] = currencies;
  if (currency === undefined || currencies.length > 1) {
    throw new InvalidLinesError('MIXED_CURRENCIES', `the lines have several currencies: ${currencies.join(', ')}`, { currencies: currencies.join(',') });
  }
  const lines = positions.map(({ line, product }) => ({ ...line, name: product.name, unitPrice: product.price.amount }));
  const total = lines.reduce((sum, line) => sum + line.unitPrice * BigInt(line.quantity), 0n);
  if (total > MAX_TOTAL) throw new InvalidLinesError('TOTAL_TOO_LARGE', `the total is more than ${MAX_TOTAL} minor units`);
  if (expected && (expected.amount !== total || expected.currency !== currency)) throw new PriceChangedError(expected, { currency, amount: total });
  return { lines, currency, total };
}

function onSale({ sku, quantity }: Quantity, catalogue: ReadonlyMap<string, Product>): Product {
  const product = catalogue.get(sku);
  if (product === undefined) throw new InvalidLinesError('UNKNOWN_SKU', `there is no product ${sku}`, { sku });
  if (product.archived) throw new InvalidLinesError('PRODUCT_ARCHIVED', `${sku} is not on sale any more`, { sku });
  if (quantity > MAX_QUANTITY) throw new InvalidLinesError('INVALID_FIELD', `lines: ${quantity} of ${sku} are more than ${MAX_QUANTITY}`, { sku });
  return product;
}
