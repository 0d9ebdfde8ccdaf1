// Load, decide, save: the one way in which stock changes.
import { crashPoint } from '@millrace/chassis/crash-point';
import type { Tx } from '@millrace/chassis/database/db';
import { appendEvents } from '@millrace/chassis/events/outbox';
import type { Changes } from '@millrace/chassis/flow/changes';
import { Books } from './books.ts';
import type { Levels } from './levels.ts';
import { eventsOf } from './notices.ts';
import { lockReservations, lockStock, save, skusOf } from './store.ts';

export type Scope = { skus?: string[]; orderIds?: string[] };
/** Locks the rows in scope, lets `decide` change them, stores what became of them and says it, all in the lent transaction. */
export type Change = <T>(tx: Tx, scope: Scope, decide: (books: Books) => T) => Promise<T>;

export function createChange(changes: Changes, levels: Levels): Change {
  return async (tx, { skus = [], orderIds = [] }, decide) => {
    const [stocks, { now, reservations }] = await Promise.all([lockStock(tx, [...new Set(skus)]), lockReservations(tx, orderIds)]);
    const books = new Books(now, stocks, reservations);
    const result = decide(books);
    const closing = books.close();
    const events = eventsOf(closing);
    if (closing.stocks.length + closing.added.length + closing.changed.length > 0) await Promise.all([save(tx, closing), appendEvents(tx, events)]);
    crashPoint('change.saved');
    tx.afterCommit(() => {
      levels.remember([...stocks, ...closing.stocks.map(({ stock }) => stock)]);
      closing.stocks.forEach(({ stock }) => changes.notify(stock.sku));
    });
    return result;
  };
}

/** The scope of orders whose reservations exist: their skus are looked up first. */
export async function scopeOf(tx: Tx, orderIds: string[]): Promise<Scope> {
  return { orderIds, skus: await skusOf(tx, orderIds) };
}
