// Holding stock: many reservations in one transaction, each decided by itself, in the order in which they came.
import { refuse } from '@millrace/chassis/api/errors';
import { crashPoint } from '@millrace/chassis/crash-point';
import type { Database } from '@millrace/chassis/database/db';
import { createBatcher } from '@millrace/chassis/flow/batcher';
import type { Changes } from '@millrace/chassis/flow/changes';
import { Books } from './books.ts';
import type { Change } from './change.ts';
import type { Levels } from './levels.ts';
import { eventsOf } from './notices.ts';
import { hold, type Reservation, type Wish } from './reservation.ts';
import { cameTooLate, saveHolds } from './store.ts';

/** One lane: two would only fight over the same rows. */
const LANES = 1;
/** Reservations of one transaction; a larger one would keep the first of its callers waiting for the last. */
const MAX_BATCH = 256;
/** About two seconds of work, or the whole crowd of a flash sale; whoever comes after that is told to come back. */
const QUEUE_LIMIT = 10_000;

/** A wish and its caller's signal: who has gone away while waiting must not be left with stock that nobody wants. */
export type ReserveStock = (wish: Wish, signal?: AbortSignal) => Promise<Reservation>;
type Waiting = { wish: Wish; signal?: AbortSignal | undefined };

export type Stores = { db: Database; change: Change; levels: Levels; changes: Pick<Changes, 'notify'> };

export function createReserveStock(stores: Stores): ReserveStock {
  const reserve = createBatcher({ name: 'reservations', lanes: LANES, max: MAX_BATCH, queueLimit: QUEUE_LIMIT }, async (batch: Waiting[]) => {
    const skus = [...new Set(batch.flatMap(({ wish }) => wish.lines.map(({ sku }) => sku)))];
    const results = (await onKnownLevels(stores, skus, batch)) ?? (await underLocks(stores, skus, batch));
    crashPoint('reserve.saved');
    return results;
  });
  return async (wish, signal) => reserve({ wish, signal });
}

/**
 * Decides on the levels as they were last seen, and writes all of it in one statement that undoes itself if they have changed: nothing is
 * locked while we think. Undefined when that can't be: a level is not known, an order has a reservation, or somebody else was faster.
 */
async function onKnownLevels({ db, levels, changes }: Stores, skus: string[], batch: Waiting[]): Promise<(Reservation | Error)[] | undefined> {
  const known = levels.of(skus);
  if (known === undefined) return undefined;
  const books = new Books(db.clock.now(), known, []);
  const results = decide(books, batch);
  const closing = books.close();
  try {
    db.clock.saw(await saveHolds(db, known, closing, eventsOf(closing)));
  } catch (error) {
    levels.forget(skus);
    if (cameTooLate(error)) return undefined;
    throw error;
  }
  if (closing.stocks.length > 0) db.wroteEvents();
  levels.remember(closing.stocks.map(({ stock }) => stock));
  closing.stocks.forEach(({ stock }) => changes.notify(stock.sku));
  return results;
}

async function underLocks({ db, change }: Stores, skus: string[], batch: Waiting[]): Promise<(Reservation | Error)[]> {
  return db.transaction((tx) => change(tx, { skus, orderIds: batch.map(({ wish }) => wish.orderId) }, (books) => decide(books, batch)));
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
