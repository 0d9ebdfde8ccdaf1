// Leaving: an event is a row in the service's own database, written in the transaction of the change it tells.

import { randomUUIDv7 } from 'node:crypto';
import { create, toJsonString, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { rowset, sql, type Statement, type Tx } from '../database/db.ts';
import { eventKind, subjectToken } from './contracts.ts';

export type OutgoingEvent = {
  eventId: string;
  /** Full subject, with the aggregate's id. */
  subject: string;
  /** The message's full name. */
  type: string;
  aggregateId: string;
  aggregateVersion: number;
  /** Canonical protojson. */
  body: string;
};

/** Makes an event of a message that has the event option and a field `version`. */
export function event<D extends DescMessage>(schema: D, init: MessageInitShape<D>): OutgoingEvent {
  const kind = eventKind(schema);
  const message = create(schema, init);
  const { [kind.aggregate]: aggregateId, version } = message as unknown as Record<string, unknown>;
  if (typeof aggregateId !== 'string' || aggregateId === '') throw new Error(`${schema.typeName} needs ${kind.aggregate}`);
  if (typeof version !== 'number' || version < 1) throw new Error(`${schema.typeName} needs a version`);
  return {
    // By time, so that outboxes and inboxes grow at the end of their indexes, however many events they hold.
    eventId: randomUUIDv7(),
    subject: `${kind.subject}.${subjectToken(aggregateId)}`,
    type: schema.typeName,
    aggregateId,
    aggregateVersion: version,
    body: toJsonString(schema, message),
  };
}

/**
 * Writes events into the outbox, in order, with one statement. To be called after the aggregates' rows are locked,
 * so that positions follow versions within an aggregate.
 */
export async function appendEvents(tx: Tx, events: OutgoingEvent[]): Promise<void> {
  if (events.length === 0) return;
  tx.writesEvents();
  await tx.query(outboxInsert(events));
}

const EVENTS = rowset<OutgoingEvent>('e', {
  event_id: ['uuid', (event) => event.eventId],
  subject: ['text', (event) => event.subject],
  type: ['text', (event) => event.type],
  aggregate_id: ['text', (event) => event.aggregateId],
  aggregate_version: ['int', (event) => event.aggregateVersion],
  body: ['text', (event) => event.body],
  place: ['int', (_, place) => place],
});

/** The same as a part of another statement, whose runner tells the relay. `only`: a query for the aggregates whose events are to be written. */
export function outboxInsert(events: OutgoingEvent[], only?: Statement): Statement {
  const rows = sql`
    INSERT INTO outbox (event_id, subject, type, aggregate_id, aggregate_version, body)
    SELECT event_id, subject, type, aggregate_id, aggregate_version, body FROM ${EVENTS(events)}`;
  return only === undefined ? sql`${rows} ORDER BY place` : sql`${rows} WHERE aggregate_id IN (${only}) ORDER BY place`;
}
