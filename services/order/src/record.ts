// The one way a change of orders is written: rows, events and timeline in the transaction that locked the rows, watchers told after it.
import type { Tx } from '@millrace/chassis/database/db';
import { appendEvents } from '@millrace/chassis/events/outbox';
import type { Changes } from '@millrace/chassis/flow/changes';
import type { Order } from './order.ts';
import { addToTimeline, saveOrders, type Announcement, type TimelineEntry } from './store.ts';

/** What happened to orders, in the order in which it happened. */
export type Happened = { orders: Order[]; entries: (TimelineEntry | Announcement)[] };
export type Recorder = (tx: Tx, happened: Happened) => Promise<void>;

export function createRecord(changes: Pick<Changes, 'notify'>): Recorder {
  return async (tx, { orders, entries }) => {
    // In one packet: none needs another's answer.
    await Promise.all([
      saveOrders(tx, orders),
      appendEvents(tx, entries.flatMap((entry) => ('event' in entry ? [entry.event] : []))),
      addToTimeline(tx, entries.map((entry) => ('event' in entry ? entry.entry : entry))),
    ]);
    tx.afterCommit(() => orders.forEach((order) => changes.notify(order.orderId)));
  };
}
