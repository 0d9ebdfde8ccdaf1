// Holding stock: many reservations in one transaction, each decided by itself, in the order in which they came.
import { createBatcher } from '@millrace/chassis/batcher';
import type { Database } from '@millrace/chassis/db';
import { refuse } from '@millrace/chassis/errors';
import type { Books } from './books.ts';
import type { Change } from './change.ts';
import { hold, type Reservation, type Wish } from './reservation.ts';

/** One lane: two would only fight over the same rows. */
const LANES = 1;
/** Reservations of one transaction; a larger one would keep the first of its callers waiting for the last. */
const MAX_BATCH = 256;
/** About two seconds of work, or the whole crowd of a flash sale; whoever comes after that is told to come back. */
const QUEUE_LIMIT = 10_000;

/** A wish and its caller's signal: who has gone away while waiting must not be left with stock that nobody wants. */
export type ReserveStock = (wish: Wish, signal?: AbortSignal) => Promise<Reservation>;
type Waiting = { wish: Wish; signal?: AbortSignal | undefined };

export function createReserveStock(db: Database, change: Change): ReserveStock {
  const reserve = createBatcher({ name: 'reservations', lanes: LANES, max: MAX_BATCH, queueLimit: QUEUE_LIMIT }, (batch: Waiting[]) => {
    const skus = batch.flatMap(({ wish }) => wish.lines.map(({ sku }) => sku));
    const orderIds = batch.map(({ wish }) => wish.orderId);
    return db.transaction((tx) => change(tx, { skus, orderIds }, (books) => decide(books, batch)));
  });
  return async (wish, signal) => reserve({ wish, signal });
}

/** All or nothing for each; a refusal leaves no trace. */
export function decide(books: Books, batch: Waiting[]): (Reservation | Error)[] {
  return batch.map(({ wish, signal }) => {
    if (signal?.aborted) return refuse('DEADLINE_EXCEEDED', 'the caller has gone; nothing was held');
    try {
      books.take(hold(books.reservation(wish.orderId), wish, books.levelOf, books.now));
      return books.reservation(wish.orderId) ?? new Error(`order ${wish.orderId} has no reservation after it was held`);
    } catch (error) {
      if (error instanceof Error && 'reason' in error) return error;
      throw error;
    }
  });
}
