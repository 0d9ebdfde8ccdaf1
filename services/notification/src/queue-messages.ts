// Turns news into queued messages, in the transaction that hears them.

import { crashPoint } from '@millrace/chassis/crash-point';
import type { Tx } from '@millrace/chassis/db';
import { messagesFor, type News } from './notification.ts';
import type { Contact, Store } from './store.ts';

/** `wake` is called after the commit: there may be something to send. */
export function createQueueMessages(store: Store, admins: readonly string[], wake: () => void): QueueMessages {
  return async (tx, { contacts = [], news = [] }) => {
    // In one packet: none needs the other's answer.
    await Promise.all([store.meet(tx, contacts), store.queue(tx, news.flatMap((item) => messagesFor(item, admins)))]);
    crashPoint('messages.queued');
    tx.afterCommit(wake);
  };
}

export type QueueMessages = (tx: Tx, heard: { contacts?: Contact[]; news?: News[] }) => Promise<void>;
