// What the contracts say about events: the single list of subjects, streams and listeners, read from the descriptors.

import { getOption, hasOption, type DescMessage } from '@bufbuild/protobuf';
import { event as eventOption } from '@millrace/gen/millrace/type/v1/event_pb.js';

/** Where an event is published and who hears it. */
export type EventKind = {
  schema: DescMessage;
  /** "orders.placed" */
  subject: string;
  /** "ORDERS" */
  stream: string;
  /** Local name of the field that holds the aggregate's id. */
  aggregate: string;
  heardBy: string[];
  /** Whose every instance listens as well, without the broker's promise. */
  overheardBy: string[];
  /** Whether its hearers have a consumer for it alone. */
  apart: boolean;
};

const kinds = new WeakMap<DescMessage, EventKind>();

/** The event that a message is; a message without the option is none, and that is a defect. */
export function eventKind(schema: DescMessage): EventKind {
  const known = kinds.get(schema);
  if (known) return known;
  const kind = readKind(schema);
  kinds.set(schema, kind);
  return kind;
}

function readKind(schema: DescMessage): EventKind {
  if (!hasOption(schema, eventOption)) throw new Error(`${schema.typeName} is not an event`);
  const { subject, aggregate, heardBy, overheardBy, apart } = getOption(schema, eventOption);
  const field = schema.fields.find((candidate) => candidate.name === aggregate);
  if (field === undefined) throw new Error(`${schema.typeName} has no field ${aggregate}`);
  return { schema, subject, stream: streamOf(subject), aggregate: field.localName, heardBy, overheardBy, apart };
}

/** The durable consumer through which a service hears an event. */
export function durableOf(service: string, { subject, apart }: Pick<EventKind, 'subject' | 'apart'>): string {
  return apart ? `${service}-${subject.split('.')[1] ?? ''}` : service;
}

/** The stream that holds a subject. */
export function streamOf(subject: string): string {
  return (subject.split('.', 1)[0] ?? '').toUpperCase();
}

/** The aggregate's id in a subject. */
export function aggregateOf(subject: string): string {
  return decodeURIComponent(subject.split('.')[2] ?? '');
}

/** An aggregate's id as one subject token: dots, wildcards, blanks and "%" are written as %XX. */
export function subjectToken(id: string): string {
  return id.replace(/[%.*>\s]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}
