// Domain words ↔ the contract's enums, and the events that are said of a message.

import { event, type OutgoingEvent } from '@millrace/chassis/events/outbox';
import { NotificationBouncedSchema, NotificationFailedSchema, NotificationSentSchema } from '@millrace/gen/millrace/notification/v1/events_pb.js';
import { NotificationChannel, NotificationKind, NotificationState } from '@millrace/gen/millrace/notification/v1/notification_pb.js';
import type { Channel, Kind, Said, State } from './notification.ts';

export const kindToProto = (kind: Kind): NotificationKind => NotificationKind[kind.toUpperCase() as Uppercase<Kind>];
export const channelToProto = (channel: Channel): NotificationChannel => NotificationChannel[channel.toUpperCase() as Uppercase<Channel>];
export const stateToProto = (state: State): NotificationState => NotificationState[state.toUpperCase() as Uppercase<State>];
export const stateFromProto = (state: NotificationState): State => (NotificationState[state] ?? '').toLowerCase() as State;

export function eventOf(said: Said, message: { notificationId: string; orderId: string; kind: Kind; channel: Channel; providerMessageId: string; error: string; bounceType: string }): OutgoingEvent {
  const common = {
    notificationId: message.notificationId,
    version: said.version,
    orderId: message.orderId,
    kind: kindToProto(message.kind),
    channel: channelToProto(message.channel),
  };
  switch (said.what) {
    case 'sent':
      return event(NotificationSentSchema, { ...common, providerMessageId: message.providerMessageId });
    case 'failed':
      return event(NotificationFailedSchema, { ...common, error: message.error });
    case 'bounced':
      return event(NotificationBouncedSchema, { ...common, bounceType: message.bounceType });
    default:
      return said.what satisfies never;
  }
}
