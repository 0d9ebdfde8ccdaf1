// What a fact told by another service does to the books. In whatever order facts come, the stock ends the same. Pure.
import type { Books } from './books.ts';
import { cancel, commit, takeBack, type Line, type Reservation } from './reservation.ts';
import { open, rename, type Cause, type Opening, type Stock } from './stock.ts';

export function productCreated(books: Books, product: Opening, cause: Cause): void {
  const { stock, movement } = open(record(books, product.sku), product, cause);
  books.keep(stock);
  if (movement !== undefined) books.book(movement);
}

export function productUpdated(books: Books, { sku, name, version }: { sku: string; name: string; version: number }): void {
  books.keep(rename(record(books, sku), name, version));
}

export function productArchived(books: Books, { sku }: { sku: string }): void {
  books.keep({ ...record(books, sku), discontinued: true });
}

export function orderPaid(books: Books, orderId: string, cause: Cause): void {
  books.take(commit(reservation(books, orderId), books.levelOf, books.now, cause));
}

export function orderCancelled(books: Books, orderId: string, cause: Cause): void {
  books.take(cancel(books.reservation(orderId), orderId, books.now, cause));
}

export function refundRequested(books: Books, refund: { orderId: string; refundId: string; restockLines: Line[] }, cause: Cause): void {
  books.take(takeBack(reservation(books, refund.orderId), refund.refundId, refund.restockLines, books.now, cause));
}

function record(books: Books, sku: string): Stock {
  const stock = books.levelOf(sku);
  if (stock === undefined) throw new Error(`the stock record of ${sku} was not made before its lock`);
  return stock;
}

/** Stock is held before an order is stored, so this fails only for an order that is not ours; it becomes a dead letter. */
function reservation(books: Books, orderId: string): Reservation {
  const found = books.reservation(orderId);
  if (found === undefined) throw new Error(`there is no reservation of order ${orderId}`);
  return found;
}
