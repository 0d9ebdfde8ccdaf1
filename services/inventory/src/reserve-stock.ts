// Holding stock: many reservations in one transaction, each decided by itself, in the order in which they came.
import { createBatcher } from '@millrace/chassis/batcher';
import type { Database } from '@millrace/chassis/db';
import type { Books } from './books.ts';
import type { Change } from './change.ts';
import { hold, type Reservation, type Wish } from './reservation.ts';

/** One lane: two would only fight over the same rows. */
const LANES = 1;
/** Reservations of one transaction; a larger one would keep the first of its callers waiting for the last. */
const MAX_BATCH = 256;
/** A few seconds of work; whoever comes after that is told to come back. */
const QUEUE_LIMIT = 20_000;

export type ReserveStock = (wish: Wish) => Promise<Reservation>;

export function createReserveStock(db: Database, change: Change): ReserveStock {
  return createBatcher({ name: 'reservations', lanes: LANES, max: MAX_BATCH, queueLimit: QUEUE_LIMIT }, (wishes: Wish[]) => {
    const skus = wishes.flatMap(({ lines }) => lines.map(({ sku }) => sku));
    const orderIds = wishes.map(({ orderId }) => orderId);
    return db.transaction((tx) => change(tx, { skus, orderIds }, (books) => decide(books, wishes)));
  });
}

/** All or nothing for each; a refusal leaves no trace. */
export function decide(books: Books, wishes: Wish[]): (Reservation | Error)[] {
  return wishes.map((wish) => {
    try {
      books.take(hold(books.reservation(wish.orderId), wish, books.levelOf, books.now));
      return books.reservation(wish.orderId) ?? new Error(`order ${wish.orderId} has no reservation after it was held`);
    } catch (error) {
      if (error instanceof Error && 'reason' in error) return error;
      throw error;
    }
  });
}
