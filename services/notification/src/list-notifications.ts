// What was said, for people: one message, or pages of them, newest first.

import { decodePageToken, encodePageToken, pageLimit } from '@millrace/chassis/api/pages';
import type { Notification, PrismaClient } from '@millrace/gen/prisma/notification/client.ts';
import type { State } from './notification.ts';

export type Filters = { orderId: string; recipient: string; states: State[]; pageSize: number; pageToken: string };
/** What people see of a message. */
export type NotificationView = Pick<
  Notification,
  'notificationId' | 'orderId' | 'kind' | 'channel' | 'recipient' | 'subject' | 'state' | 'attempts' | 'providerMessageId' | 'lastError' | 'createTime' | 'sendTime'
>;
type Cursor = { createTime: Date; notificationId: string };

export class NotificationNotFoundError extends Error {
  readonly reason = 'NOT_FOUND';
  constructor() {
    super('there is no such notification');
  }
}

export async function getNotification(prisma: PrismaClient, notificationId: string): Promise<NotificationView> {
  const row = await prisma.notification.findUnique({ where: { notificationId } });
  if (!row) throw new NotificationNotFoundError();
  return row;
}

export async function listNotifications(prisma: PrismaClient, { orderId, recipient, states, pageSize, pageToken }: Filters): Promise<{ notifications: NotificationView[]; nextPageToken: string }> {
  const scope = JSON.stringify(['ListNotifications', orderId, recipient, [...states].sort()]);
  const after = decodePageToken<Cursor>(scope, pageToken);
  const limit = pageLimit(pageSize);
  const rows = await prisma.notification.findMany({
    where: {
      ...(orderId ? { orderId } : {}),
      ...(recipient ? { recipient } : {}),
      ...(states.length > 0 ? { state: { in: states } } : {}),
      ...(after ? { OR: [{ createTime: { lt: after.createTime } }, { createTime: after.createTime, notificationId: { lt: after.notificationId } }] } : {}),
    },
    orderBy: [{ createTime: 'desc' }, { notificationId: 'desc' }],
    take: limit + 1,
  });
  const notifications = rows.slice(0, limit);
  const last = notifications.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { notifications, nextPageToken: more ? encodePageToken(scope, { createTime: last.createTime, notificationId: last.notificationId } satisfies Cursor) : '' };
}
