import type { Tx } from '@millrace/chassis/database/db';
import type { Books } from './books.ts';
import type { Change } from './change.ts';
import { adjustment, StockNotFoundError, type Cause, type Stock } from './stock.ts';
import { loadLevels } from './store.ts';

export async function adjustStock(tx: Tx, change: Change, sku: string, delta: number, cause: Cause): Promise<Stock> {
  return changeLevel(tx, change, sku, (books, stock) => books.book(adjustment(stock, delta, cause)));
}

export async function setStockPolicy(tx: Tx, change: Change, sku: string, threshold: number): Promise<Stock> {
  return changeLevel(tx, change, sku, (books, stock) => books.keep({ ...stock, threshold }));
}

/** Answers the level as it was stored. */
async function changeLevel(tx: Tx, change: Change, sku: string, apply: (books: Books, stock: Stock) => void): Promise<Stock> {
  await change(tx, { skus: [sku] }, (books) => {
    const stock = books.levelOf(sku);
    if (stock === undefined || !stock.opened) throw new StockNotFoundError(sku);
    apply(books, stock);
  });
  const stored = (await loadLevels(tx, [sku])).get(sku);
  if (stored === undefined) throw new Error(`the level of ${sku} vanished while it was locked`);
  return stored;
}
