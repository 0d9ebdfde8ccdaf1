// A catalogue in one stream, as the CSV import sends it.
import { createClient } from '@connectrpc/connect';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { createHistogram } from './histogram.ts';
import { type Load, transports } from './load.ts';

export type ImportTask = { url: string; token: string; prefix: string; from: number; count: number; stock: number };

export const CURRENCY = 'EUR';

/** Minor units, of the nth article. */
export function priceOf(n: number): number {
  return 500 + (n % 5_000);
}

export async function consumeImport({ url, token, prefix, from, count, stock }: ImportTask): Promise<Load> {
  const [transport] = transports(url, token);
  if (transport === undefined) throw new Error('no transport');
  const begun = performance.now();
  async function* rows() {
    for (let n = from; n < from + count; n += 1) {
      const price = { currencyCode: CURRENCY, minorUnits: BigInt(priceOf(n)) };
      yield { product: { sku: `${prefix}-${n}`, name: `Benchmark article ${n}`, description: 'Made to be ordered very often.', price }, initialStock: stock, lowStockThreshold: 0 };
    }
  }
  const answer = await createClient(ProductService, transport).importProducts(rows());
  if (answer.failed > 0) throw new Error(`${answer.failed} products were refused: ${answer.failures[0]?.message}`);
  return { done: count, ms: performance.now() - begun, latencies: createHistogram(), refused: {} };
}
