// Turns news into queued messages, in the transaction that hears them.

import { crashPoint } from '@millrace/chassis/crash-point';
import type { Tx } from '@millrace/chassis/db';
import { type Channel, messagesFor, type News } from './notification.ts';
import type { Contact, Store } from './store.ts';

/** `wake` is called after the commit: these channels have something to send. */
export function createQueueMessages(store: Store, admins: readonly string[], wake: (channels: Channel[]) => void): QueueMessages {
  return async (tx, { contacts = [], news = [] }) => {
    // In one packet: none needs the other's answer.
    const due = await Promise.all([store.meet(tx, contacts), store.queue(tx, news.flatMap((item) => messagesFor(item, admins)))]);
    crashPoint('messages.queued');
    tx.afterCommit(() => wake(due.flat()));
  };
}

export type QueueMessages = (tx: Tx, heard: { contacts?: Contact[]; news?: News[] }) => Promise<void>;
