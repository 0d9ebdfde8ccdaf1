// Turns news into queued messages, in the transaction that hears them.

import { crashPoint } from '@millrace/chassis/crash-point';
import type { Tx } from '@millrace/chassis/database/db';
import { type Channel, type Message, messagesFor, type News } from './notification.ts';
import type { Contact, Store } from './store.ts';

/** `wake` is called after the commit: these channels have something to send. */
export function createQueueMessages(store: Store, admins: readonly string[], wake: (channels: Channel[]) => void): QueueMessages {
  return async (tx, { contacts = [], news = [] }) => {
    const known = new Map(contacts.map((contact) => [contact.orderId, contact]));
    const messages = news.flatMap((item) => messagesFor(item, admins)).flatMap((message) => addressed(message, known.get(message.orderId)));
    // In one packet: none needs the other's answer.
    const due = await Promise.all([store.meet(tx, contacts), store.queue(tx, messages)]);
    crashPoint('messages.queued');
    tx.afterCommit(() => wake(due.flat()));
  };
}

/** With the address of a buyer who comes with the news; nobody is to be sent a text who has no phone. */
function addressed(message: Message, contact: Contact | undefined): Message[] {
  if (message.recipient !== '' || contact === undefined) return [message];
  if (message.channel === 'email') return [{ ...message, recipient: contact.email }];
  return contact.phone === '' ? [] : [{ ...message, recipient: contact.phone }];
}

export type QueueMessages = (tx: Tx, heard: { contacts?: Contact[]; news?: News[] }) => Promise<void>;
