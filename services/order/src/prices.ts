// Prices, remembered. A remembered one only ever counts for a buyer who names the same total; everybody else, and every refusal, gets product's own word.
import type { Quantity } from './order.ts';
import { type Money, type Priced, type Product, priceLines } from './pricing.ts';

/** Product's answer for the skus of one basket, and maybe of others. */
export type Catalogue = ReadonlyMap<string, Product>;

/** A hint that was missed does no harm for longer than this. */
const KNOWN_FOR_MS = 60_000;
/** A few hundred bytes each. */
const MAX_KNOWN = 20_000;

export type Prices = ReturnType<typeof createPrices>;

export function createPrices(ask: (skus: string[]) => Promise<Catalogue>) {
  const known = new Map<string, { product: Product; until: number }>();
  /** Counts what was forgotten: an answer that was under way meanwhile may be older than that. */
  let forgotten = 0;

  return {
    async price(lines: Quantity[], expected?: Money): Promise<Priced> {
      return (expected && agreed(lines, expected)) ?? priceLines(lines, await fresh(lines), expected);
    },
    forget(sku: string): void {
      forgotten += 1;
      known.delete(sku);
    },
    forgetAll(): void {
      forgotten += 1;
      known.clear();
    },
  };

  function agreed(lines: Quantity[], expected: Money): Priced | undefined {
    const catalogue = new Map<string, Product>();
    const now = performance.now();
    for (const { sku } of lines) {
      const entry = known.get(sku);
      if (entry === undefined || entry.until < now) return undefined;
      catalogue.set(sku, entry.product);
    }
    try {
      return priceLines(lines, catalogue, expected);
    } catch {
      return undefined;
    }
  }

  async function fresh(lines: Quantity[]): Promise<Catalogue> {
    const before = forgotten;
    const catalogue = await ask(lines.map(({ sku }) => sku));
    if (before === forgotten) for (const { sku } of lines) remember(sku, catalogue.get(sku));
    return catalogue;
  }

  function remember(sku: string, product: Product | undefined): void {
    if (product === undefined) return;
    known.delete(sku);
    known.set(sku, { product, until: performance.now() + KNOWN_FOR_MS });
    const [oldest] = known.keys();
    if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest);
  }
}
