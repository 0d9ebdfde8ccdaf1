// Streams, consumers and permissions, all derived from the event options in the protos: one list, no second to drift from it.
import { type DescFile, getOption, hasOption } from '@bufbuild/protobuf';
import { event as eventOption } from '@millrace/gen/millrace/type/v1/event_pb.js';
import { file_millrace_inventory_v1_events as inventory } from '@millrace/gen/millrace/inventory/v1/events_pb.js';
import { file_millrace_notification_v1_events as notification } from '@millrace/gen/millrace/notification/v1/events_pb.js';
import { file_millrace_order_v1_events as order } from '@millrace/gen/millrace/order/v1/events_pb.js';
import { file_millrace_payment_v1_events as payment } from '@millrace/gen/millrace/payment/v1/events_pb.js';
import { file_millrace_product_v1_events as product } from '@millrace/gen/millrace/product/v1/events_pb.js';

export type EventRoute = { subject: string; stream: string; saidBy: string; heardBy: string[]; overheardBy: string[] };

export const EVENTS: readonly EventRoute[] = [order, product, inventory, payment, notification].flatMap(routesOf);

export const STREAMS: readonly string[] = [...new Set(EVENTS.map((event) => event.stream))];

/** Streams a service has a durable consumer on, with the subjects it wants. */
export function heardBy(service: string): Map<string, string[]> {
  const heard = new Map<string, string[]>();
  for (const { stream, subject, heardBy: hearers } of EVENTS) {
    if (hearers.includes(service)) heard.set(stream, [...(heard.get(stream) ?? []), `${subject}.*`]);
  }
  return heard;
}

export const HEARERS: readonly string[] = [...new Set(EVENTS.flatMap((event) => event.heardBy))].toSorted();

function routesOf(file: DescFile): EventRoute[] {
  return file.messages
    .filter((message) => hasOption(message, eventOption))
    .map((message) => {
      const { subject, heardBy: hearers, overheardBy } = getOption(message, eventOption);
      const [word = ''] = subject.split('.');
      const saidBy = file.proto.package.split('.')[1] ?? '';
      return { subject, stream: word.toUpperCase(), saidBy, heardBy: [...hearers], overheardBy: [...overheardBy] };
    });
}
