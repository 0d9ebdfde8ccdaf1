// NotificationService on the wire: translates, and runs each change once per request id.

import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ConnectRouter } from '@connectrpc/connect';
import { callerOf } from '@millrace/chassis/api/auth';
import type { Database } from '@millrace/chassis/database/db';
import { createOnce } from '@millrace/chassis/database/requests';
import { NotificationService, type NotificationSchema } from '@millrace/gen/millrace/notification/v1/notification_pb.js';
import type { PrismaClient } from '@millrace/gen/prisma/notification/client.ts';
import { getNotification, listNotifications, type NotificationView } from './list-notifications.ts';
import type { Channel, Kind, State } from './notification.ts';
import { getPreferences, setPreferences } from './preferences.ts';
import { previewTemplate } from './preview-template.ts';
import { resendNotification } from './resend-notification.ts';
import type { Renderer } from './templates/render.ts';
import { channelToProto, kindToProto, stateFromProto, stateToProto } from './wire.ts';

export function notificationRoutes({ db, prisma, renderer, wake }: { db: Database; prisma: PrismaClient; renderer: Renderer; wake: (channels: Channel[]) => void }): (router: ConnectRouter) => void {
  const { method } = NotificationService;
  const once = createOnce(db);

  return (router) =>
    router.service(NotificationService, {
      async listNotifications(request) {
        const page = await listNotifications(prisma, { ...request, states: request.states.map(stateFromProto) });
        return { notifications: page.notifications.map(notificationMessage), nextPageToken: page.nextPageToken };
      },
      async getNotification({ notificationId }) {
        return { notification: notificationMessage(await getNotification(prisma, notificationId)) };
      },
      resendNotification: (request, context) =>
        once(method.resendNotification, request, context, async (tx, { subject }) => {
          const copy = await resendNotification(tx, request.notificationId, { subject, requestId: request.requestId });
          tx.afterCommit(() => wake([copy.channel as Channel]));
          return { notification: notificationMessage(copy) };
        }),
      async getPreferences({ customerId }, context) {
        return { preferences: await getPreferences(db, callerOf(context), customerId) };
      },
      setPreferences: (request, context) =>
        once(method.setPreferences, request, context, async (tx, caller) => {
          if (!request.preferences) throw new Error('validation lets no request without preferences through');
          return { preferences: await setPreferences(tx, caller, request.preferences) };
        }),
      previewTemplate: ({ template, locale }) => previewTemplate(renderer, template, locale),
    });
}

function notificationMessage(row: NotificationView): MessageInitShape<typeof NotificationSchema> {
  const { kind, channel, state } = row as { kind: Kind; channel: Channel; state: State };
  return {
    notificationId: row.notificationId,
    orderId: row.orderId,
    kind: kindToProto(kind),
    channel: channelToProto(channel),
    recipient: row.recipient,
    subject: row.subject,
    state: stateToProto(state),
    attempts: row.attempts,
    providerMessageId: row.providerMessageId,
    lastError: row.lastError,
    createTime: timestampFromDate(row.createTime),
    ...(row.sendTime ? { sendTime: timestampFromDate(row.sendTime) } : {}),
  };
}
