// Stock levels as they were last seen. Only a hint: what is decided on them is written only if their versions still stand.
import type { Stock } from './stock.ts';

/** A few hundred bytes each; a shop with more products sells most of its orders from the first hundredth. */
const MAX_LEVELS = 20_000;

export type Levels = ReturnType<typeof createLevels>;

export function createLevels(max = MAX_LEVELS) {
  const known = new Map<string, Stock>();

  return {
    /** All of them, or undefined when one is not known. */
    of(skus: string[]): Stock[] | undefined {
      const stocks = skus.map((sku) => known.get(sku));
      return stocks.every((stock) => stock !== undefined) ? stocks : undefined;
    },
    /** The newest stays, in whatever order transactions tell of their ends. */
    remember(stocks: Stock[]): void {
      for (const stock of stocks) {
        const before = known.get(stock.sku);
        if (before !== undefined && before.version > stock.version) continue;
        known.delete(stock.sku);
        known.set(stock.sku, stock);
      }
      for (const sku of known.keys()) {
        if (known.size <= max) break;
        known.delete(sku);
      }
    },
    forget(skus: string[]): void {
      for (const sku of skus) known.delete(sku);
    },
  };
}
