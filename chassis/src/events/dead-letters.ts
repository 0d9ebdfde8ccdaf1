// Events that could not be handled, with their raw bytes and the cause; every service serves its own to admins.

import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ConnectRouter, HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { DeadLetterSchema, DeadLetterService, DeadLetterState, type DeadLetter } from '@millrace/gen/millrace/ops/v1/dead_letter_pb.js';
import { databaseAway } from '../api/database-away.ts';
import { refuse } from '../api/errors.ts';
import { SERVICE_HEADER, namedService } from '../api/named-service.ts';
import { decodePageToken, encodePageToken, pageLimit } from '../api/pages.ts';
import { sql, type Database, type Queryable, type Tx } from '../database/db.ts';
import { createOnce } from '../database/requests.ts';
import { handleOnce, readEvent, type RawEvent, type Reaction } from './inbox.ts';

type Row = {
  dead_letter_id: string; stream: string; subject: string; stream_sequence: bigint; event_id: string; event_type: string; deliveries: number;
  cause: string; stack: string; headers: Record<string, string>; body: Buffer; state: DeadLetterState;
  create_time: Date; resolve_time: Date | null; resolved_by: string; note: string;
};

/** Puts an event away. A message that comes back because its ack was lost finds itself here and changes nothing. */
export async function buryEvent(db: Queryable, raw: RawEvent, cause: Error): Promise<void> {
  const headers = Object.fromEntries(Object.entries(raw.headers).map(([name, value]) => [name, storable(value)]));
  await db.query(sql`
    INSERT INTO dead_letter (dead_letter_id, stream, subject, stream_sequence, event_id, event_type, deliveries, cause, stack, headers, body)
    VALUES (${randomUUID()}, ${raw.stream}, ${storable(raw.subject)}, ${raw.sequence}, ${storable(raw.headers['ce-id'] ?? '')}, ${storable(raw.headers['ce-type'] ?? '')},
      ${raw.deliveries}, ${storable(causeOf(cause))}, ${storable(cause.stack ?? '')}, ${JSON.stringify(headers)}, ${Buffer.from(raw.body)})
    ON CONFLICT (stream, stream_sequence) DO NOTHING`);
}

/** Postgres has no text with a zero byte in it; a parser's complaint quotes those of the body. */
function storable(text: string): string {
  return text.replaceAll('\0', '\uFFFD');
}

export type DeadLetters = ServiceImpl<typeof DeadLetterService>;

/** Serves ops.v1.DeadLetterService by service; where there are several behind one port, a header names the one that is meant. */
export function deadLetterRoutes(all: ReadonlyMap<string, DeadLetters>): (router: ConnectRouter) => void {
  const of = ({ requestHeader }: HandlerContext): DeadLetters => all.get(namedService(requestHeader.get(SERVICE_HEADER), [...all.keys()])) as DeadLetters;
  return (router) =>
    router.service(DeadLetterService, {
      listDeadLetters: (request, context) => of(context).listDeadLetters(request, context),
      getDeadLetter: (request, context) => of(context).getDeadLetter(request, context),
      replayDeadLetter: (request, context) => of(context).replayDeadLetter(request, context),
      discardDeadLetter: (request, context) => of(context).discardDeadLetter(request, context),
    });
}

/** Over this service's table. */
export function createDeadLetters(service: string, db: Database, reactions: ReadonlyMap<string, Reaction>): DeadLetters {
  const toProto = (row: Row, whole: boolean): DeadLetter =>
    create(DeadLetterSchema, {
      deadLetterId: row.dead_letter_id, service, stream: row.stream, subject: row.subject, streamSequence: row.stream_sequence,
      eventId: row.event_id, eventType: row.event_type, deliveries: row.deliveries, cause: row.cause, state: row.state,
      createTime: timestampFromDate(row.create_time), resolvedBy: row.resolved_by, note: row.note,
      ...(row.resolve_time && { resolveTime: timestampFromDate(row.resolve_time) }),
      ...(whole && { stack: row.stack, headers: row.headers, body: row.body }),
    });

  const once = createOnce(db);

  return {
    async listDeadLetters(request) {
      const states = request.states.length > 0 ? request.states : [DeadLetterState.OPEN];
      const scope = `ListDeadLetters ${states.join()}`;
      const limit = pageLimit(request.pageSize);
      const [time, id] = decodePageToken<[string, string]>(scope, request.pageToken) ?? ['infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff'];
      // Index dead_letter_state_create_time_idx.
      const rows = await db.query<Row>(sql`
        SELECT * FROM dead_letter WHERE state = ANY(${states}::int[]) AND (create_time, dead_letter_id) < (${time}::timestamptz, ${id}::uuid)
        ORDER BY create_time DESC, dead_letter_id DESC LIMIT ${limit + 1}`);
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      return {
        deadLetters: page.map((row) => toProto(row, false)),
        nextPageToken: last !== undefined && rows.length > limit ? encodePageToken(scope, [last.create_time.toISOString(), last.dead_letter_id]) : '',
      };
    },

    getDeadLetter: async (request) => ({ deadLetter: toProto(await load(db, request.deadLetterId), true) }),

    /** Through the same inbox, in the same transaction; when it fails again, the letter stays open with the new cause. */
    async replayDeadLetter(request, context) {
      try {
        return await once(DeadLetterService.method.replayDeadLetter, request, context, async (tx, caller) => {
          const row = await lockOpen(tx, request.deadLetterId);
          await handleAgain(tx, row, reactions);
          await resolve(tx, row.dead_letter_id, DeadLetterState.REPLAYED, caller.subject, '');
          return { deadLetter: toProto(await load(tx, row.dead_letter_id), true) };
        });
      } catch (error) {
        // Refusals about the letter itself (none there, not open) are the caller's answer.
        if (!(error instanceof FailedAgain)) throw error;
        return { deadLetter: toProto(await noteCause(db, request.deadLetterId, error.cause), true) };
      }
    },

    discardDeadLetter: (request, context) =>
      once(DeadLetterService.method.discardDeadLetter, request, context, async (tx, caller) => {
        const row = await lockOpen(tx, request.deadLetterId);
        await resolve(tx, row.dead_letter_id, DeadLetterState.DISCARDED, caller.subject, request.reason);
        return { deadLetter: toProto(await load(tx, row.dead_letter_id), false) };
      }),
  };
}

class FailedAgain extends Error {
  declare readonly cause: Error;
}

async function handleAgain(tx: Tx, row: Row, reactions: ReadonlyMap<string, Reaction>): Promise<void> {
  try {
    await handleOnce(tx, [readEvent(row, reactions)], reactions);
  } catch (error) {
    // An outage says nothing about the event.
    throw databaseAway(error) ? error : new FailedAgain('the event failed again', { cause: error });
  }
}

async function noteCause(db: Database, id: string, error: Error): Promise<Row> {
  await db.query(sql`UPDATE dead_letter SET cause = ${storable(causeOf(error))}, stack = ${storable(error.stack ?? '')} WHERE dead_letter_id::text = ${id.toLowerCase()} AND state = ${DeadLetterState.OPEN}`);
  return load(db, id);
}

const causeOf = ({ message, cause }: Error): string => (cause instanceof Error ? `${message}: ${cause.message}` : message);

async function load(db: Queryable, id: string): Promise<Row> {
  const [row] = await db.query<Row>(sql`SELECT * FROM dead_letter WHERE dead_letter_id::text = ${id.toLowerCase()}`);
  if (row === undefined) throw refuse('NOT_FOUND', 'there is no such dead letter');
  return row;
}

async function lockOpen(tx: Queryable, id: string): Promise<Row> {
  const [row] = await tx.query<Row>(sql`SELECT * FROM dead_letter WHERE dead_letter_id::text = ${id.toLowerCase()} FOR UPDATE`);
  if (row === undefined) throw refuse('NOT_FOUND', 'there is no such dead letter');
  const state = DeadLetterState[row.state];
  if (row.state !== DeadLetterState.OPEN) throw refuse('ILLEGAL_TRANSITION', `the dead letter is ${state}`, { state: `DEAD_LETTER_STATE_${state}` });
  return row;
}

async function resolve(tx: Queryable, id: string, state: DeadLetterState, by: string, note: string): Promise<void> {
  await tx.query(sql`UPDATE dead_letter SET state = ${state}, resolve_time = now(), resolved_by = ${by}, note = ${note} WHERE dead_letter_id = ${id}::uuid`);
}
