// Streams, consumers and permissions, all derived from the event options in the protos: one list, no second to drift from it.
import { type DescFile, getOption, hasOption } from '@bufbuild/protobuf';
import { durableOf } from '@millrace/chassis/events/contracts';
import { event as eventOption } from '@millrace/gen/millrace/type/v1/event_pb.js';
import { file_millrace_inventory_v1_events as inventory } from '@millrace/gen/millrace/inventory/v1/events_pb.js';
import { file_millrace_notification_v1_events as notification } from '@millrace/gen/millrace/notification/v1/events_pb.js';
import { file_millrace_order_v1_events as order } from '@millrace/gen/millrace/order/v1/events_pb.js';
import { file_millrace_payment_v1_events as payment } from '@millrace/gen/millrace/payment/v1/events_pb.js';
import { file_millrace_product_v1_events as product } from '@millrace/gen/millrace/product/v1/events_pb.js';

export type EventRoute = { subject: string; stream: string; saidBy: string; heardBy: string[]; overheardBy: string[]; apart: boolean };
/** A service's durable consumer, and the subjects it wants. */
export type ConsumerRoute = { service: string; stream: string; durable: string; subjects: string[] };

export const EVENTS: readonly EventRoute[] = [order, product, inventory, payment, notification].flatMap(routesOf);

export const STREAMS: readonly string[] = [...new Set(EVENTS.map((event) => event.stream))];

/** One of each service on each stream that it hears, and one for each event that is heard apart: those before the one for the rest. */
export const CONSUMERS: readonly ConsumerRoute[] = [...new Set(EVENTS.flatMap((event) => event.heardBy))].toSorted().flatMap(consumersOf);

function consumersOf(service: string): ConsumerRoute[] {
  const consumers = new Map<string, ConsumerRoute>();
  for (const event of EVENTS.filter(({ heardBy }) => heardBy.includes(service)).toSorted((a, b) => Number(b.apart) - Number(a.apart))) {
    const [{ stream, subject }, durable] = [event, durableOf(service, event)];
    const consumer = consumers.get(`${stream} ${durable}`) ?? { service, stream, durable, subjects: [] };
    consumers.set(`${stream} ${durable}`, { ...consumer, subjects: [...consumer.subjects, `${subject}.*`] });
  }
  return [...consumers.values()];
}

function routesOf(file: DescFile): EventRoute[] {
  return file.messages
    .filter((message) => hasOption(message, eventOption))
    .map((message) => {
      const { subject, heardBy, overheardBy, apart } = getOption(message, eventOption);
      const [word = ''] = subject.split('.');
      const saidBy = file.proto.package.split('.')[1] ?? '';
      return { subject, stream: word.toUpperCase(), saidBy, heardBy: [...heardBy], overheardBy: [...overheardBy], apart };
    });
}
