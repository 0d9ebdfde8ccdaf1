// millrace notification …
import { create } from '@bufbuild/protobuf';
import {
  GetNotificationResponseSchema, ListNotificationsResponseSchema, NotificationChannelSchema, NotificationKindSchema, NotificationService, NotificationState, NotificationStateSchema, PreviewTemplateResponseSchema, type Notification,
} from '@millrace/gen/millrace/notification/v1/notification_pb.js';
import { type Call, type Noun, TEXT, TEXTS, YES, expectArgs } from '../command.ts';
import type { Output } from '../output.ts';
import { PAGE_OPTIONS, PAGE_USAGE, gather } from '../pages.ts';
import { readEnums, showEnum, showTime } from '../values.ts';

export const notification: Noun = {
  about: 'what people were told',
  verbs: {
    list: {
      usage: `[--order ORDER_ID] [--recipient ADDRESS] [--state S,S] ${PAGE_USAGE}`,
      about: 'lists messages, newest first',
      options: { order: TEXT, recipient: TEXT, state: TEXTS, ...PAGE_OPTIONS },
      run: list,
    },
    get: { usage: 'NOTIFICATION_ID', about: 'shows a message', run: get },
    resend: { usage: 'NOTIFICATION_ID', about: 'sends a message once more, on purpose', run: resend },
    preview: { usage: 'TEMPLATE [--locale TAG] [--html]', about: 'renders a template, such as order_confirmation, with sample data', options: { locale: TEXT, html: YES }, run: preview },
  },
};

async function list(call: Call): Promise<void> {
  expectArgs(call);
  const filter = {
    orderId: call.flags.text('order'),
    recipient: call.flags.text('recipient'),
    states: readEnums<NotificationState>(NotificationStateSchema, call.flags.words('state'), '--state'),
  };
  const { rows: notifications, nextPageToken } = await gather(call, (page) => call.client(NotificationService).listNotifications({ ...filter, ...page }), (page) => page.notifications);
  call.out.answer(ListNotificationsResponseSchema, create(ListNotificationsResponseSchema, { notifications, nextPageToken }), () =>
    call.out.table(
      ['NOTIFICATION', 'DECIDED', 'KIND', 'BY', 'TO', 'STATE', 'ORDER', 'LAST ERROR'],
      notifications.map((one) => [one.notificationId, showTime(one.createTime), showEnum(NotificationKindSchema, one.kind), showEnum(NotificationChannelSchema, one.channel), one.recipient, showEnum(NotificationStateSchema, one.state), one.orderId, one.lastError]),
    ),
  );
}

async function get(call: Call): Promise<void> {
  const [notificationId] = expectArgs(call, 'NOTIFICATION_ID');
  showNotification(call.out, (await call.client(NotificationService).getNotification({ notificationId })).notification);
}

async function resend(call: Call): Promise<void> {
  const [notificationId] = expectArgs(call, 'NOTIFICATION_ID');
  showNotification(call.out, (await call.client(NotificationService).resendNotification({ notificationId, requestId: call.requestId })).notification);
}

async function preview(call: Call): Promise<void> {
  const [template] = expectArgs(call, 'TEMPLATE');
  const answer = await call.client(NotificationService).previewTemplate({ template, locale: call.flags.text('locale') });
  call.out.answer(PreviewTemplateResponseSchema, answer, () => {
    call.out.facts({ subject: answer.subject, 'text message': answer.sms });
    call.out.line('');
    call.out.line(call.flags.on('html') ? answer.html : answer.text);
  });
}

function showNotification(out: Output, one: Notification | undefined): void {
  if (!one) return;
  out.answer(GetNotificationResponseSchema, create(GetNotificationResponseSchema, { notification: one }), () =>
    out.facts({
      notification: one.notificationId,
      kind: showEnum(NotificationKindSchema, one.kind),
      by: showEnum(NotificationChannelSchema, one.channel),
      to: one.recipient,
      subject: one.subject,
      state: showEnum(NotificationStateSchema, one.state),
      order: one.orderId,
      attempts: one.attempts,
      'provider id': one.providerMessageId,
      'last error': one.lastError,
      decided: showTime(one.createTime),
      sent: showTime(one.sendTime),
    }),
  );
}
