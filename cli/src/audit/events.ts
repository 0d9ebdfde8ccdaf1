// Events: who must have handled what (I11), their versions (I12), and dead letters (I14). Pure.
import { type DescFile, getOption, hasOption } from '@bufbuild/protobuf';
import { event as eventOption } from '@millrace/gen/millrace/type/v1/event_pb.js';
import { file_millrace_inventory_v1_events as inventory } from '@millrace/gen/millrace/inventory/v1/events_pb.js';
import { file_millrace_notification_v1_events as notification } from '@millrace/gen/millrace/notification/v1/events_pb.js';
import { file_millrace_order_v1_events as order } from '@millrace/gen/millrace/order/v1/events_pb.js';
import { file_millrace_payment_v1_events as payment } from '@millrace/gen/millrace/payment/v1/events_pb.js';
import { file_millrace_product_v1_events as product } from '@millrace/gen/millrace/product/v1/events_pb.js';
import type { Service } from './report.ts';

const FILES: Record<Service, DescFile> = { order, product, inventory, payment, notification };

export type EventType = { type: string; subject: string; hearers: Service[] };

/** Types of events that a service says, each with the services that must hear it, as the contract has it. */
export function eventsOf(service: Service): EventType[] {
  const events = FILES[service].messages.filter((message) => hasOption(message, eventOption));
  return events.map((message) => {
    const { subject, heardBy } = getOption(message, eventOption);
    return { type: message.typeName, subject, hearers: heardBy as Service[] };
  });
}

/** Where a service's events are. */
export function streamOf(service: Service): string {
  return (eventsOf(service)[0]?.subject.split('.')[0] ?? '').toUpperCase();
}

/** How versions of one aggregate's events follow each other: each exactly one more, or just rising where silent changes count too. */
export type Counting = 'every' | 'rising';
/**
 * The events of one aggregate in the order in which they were said. `back`: versions not above the one before; `gaps`: not one above it;
 * `first`, `last`: undefined when there are no events; `current`: undefined when there is no such aggregate; `whole`: its first event must still be there.
 */
export type Versions = { back: number; gaps: number; first: number | undefined; last: number | undefined; current: number | undefined; whole: boolean };

/** I12. `start`: the version of the first event where every change is told. */
export function judgeVersions({ back, gaps, first, last, current, whole }: Versions, counting: Counting, start: number): string | undefined {
  if (current === undefined) return 'events of something that is not there';
  if (back > 0) return 'versions were not said in their order';
  if (last !== undefined && last > current) return `version ${last} was said, it has ${current}`;
  if (counting === 'rising') return undefined;
  if (gaps > 0) return `${gaps} ${gaps === 1 ? 'gap' : 'gaps'} in its versions`;
  if (whole && (first ?? start) !== start) return `version ${first} is the first one said, not ${start}`;
  if ((last !== undefined || whole) && (last ?? start - 1) !== current) return `it has version ${current}, the last one said is ${last ?? 'none'}`;
  return undefined;
}

/** I12 of an order: it has heard of every version of its payment that was said, from the second on, and stands at the last one. */
export function judgeHeard(heard: number[], version: number): string | undefined {
  const [different, last] = [new Set(heard).size, Math.max(1, ...heard)];
  return different === version - 1 && last === version ? undefined : `it stands at version ${version} of its payment; its timeline has ${different} of them, the last one ${heard.length > 0 ? last : 'none'}`;
}

export type Letter = { id: string; state: 'open' | 'replayed' | 'discarded'; handled: boolean; eventId: string; headers: boolean; resolvedBy: string; note: string };

/** I14: what was buried is either waiting for a person, whole, or it was dealt with as it says. */
export function judgeLetter({ state, handled, eventId, headers, resolvedBy, note }: Letter): string | undefined {
  switch (state) {
    case 'open':
      if (handled) return `open, and its event ${eventId} was handled`;
      return headers ? undefined : 'without headers: it can not be replayed';
    case 'replayed':
      if (!handled) return `replayed, and its event ${eventId} was never handled`;
      return resolvedBy === '' ? 'replayed by nobody' : undefined;
    case 'discarded':
      return resolvedBy === '' || note === '' ? 'discarded without a name and a reason' : undefined;
    default:
      return state satisfies never;
  }
}
