// Applies what other services said to the orders it is about, many events in one transaction.
import { crashPoint } from '@millrace/chassis/crash-point';
import type { Tx } from '@millrace/chassis/database/db';
import { moved } from './announce.ts';
import { type Fact, hear } from './order.ts';
import type { Recorder } from './record.ts';
import { addWhereKnown, lockOrders, type Announcement, type TimelineEntry } from './store.ts';

export type HeardFact = { fact: Fact; entry: TimelineEntry; currency?: string };

/** Folds the facts into their orders in the order of arrival. A fact about an order that never came to be is left out. */
export async function hearFacts(tx: Tx, record: Recorder, heard: HeardFact[]): Promise<void> {
  const { orders, now } = await lockOrders(tx, [...new Set(heard.map(({ entry }) => entry.orderId))]);
  const changed = new Set<string>();
  const entries: (TimelineEntry | Announcement)[] = [];
  for (const { fact, entry, currency } of heard) {
    const before = orders.get(entry.orderId);
    if (before === undefined) continue;
    if (currency !== undefined && currency !== before.currency) throw new Error(`a payment in ${currency} for an order in ${before.currency}`);
    const after = hear(before, fact, now);
    if (after !== before) changed.add(after.orderId);
    orders.set(after.orderId, after);
    entries.push(entry, ...moved(before, after, 'order'));
  }
  await record(tx, { orders: [...orders.values()].filter((order) => changed.has(order.orderId)), entries });
  crashPoint('facts.recorded');
}

/** Events that change nothing: only the timeline tells them. */
export async function noteEvents(tx: Tx, entries: TimelineEntry[]): Promise<void> {
  await addWhereKnown(tx, entries.filter((entry) => entry.orderId !== ''));
}
