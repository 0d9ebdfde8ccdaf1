// Arriving: event ids are remembered in the transaction of their effect, so that a repeated event does nothing twice.

import { fromJson, type DescMessage, type JsonValue, type Message, type MessageShape } from '@bufbuild/protobuf';
import { isKeyTaken, sql, type Tx } from '../database/db.ts';

/** An event of another service, as a handler gets it. */
export type Heard<T> = {
  id: string;
  type: string;
  time: Date;
  /** The aggregate's version. */
  version: number;
  body: T;
};

/** What a service does about one type of event. */
export type Reaction = {
  schema: DescMessage;
  handle: (tx: Tx, events: Heard<Message>[]) => Promise<void>;
};

/**
 * Declares the reaction to a type of event. `handle` gets up to a batch of events in one transaction that also holds their inbox rows;
 * after a failure it is run again with single events. Facts arrive in any order; it touches only the database.
 */
export function on<D extends DescMessage>(schema: D, handle: (tx: Tx, events: Heard<MessageShape<D>>[]) => Promise<void>): Reaction {
  return { schema, handle: handle as Reaction['handle'] };
}

/** A message off the wire, before anybody has looked into it. */
export type RawEvent = {
  stream: string;
  sequence: bigint;
  subject: string;
  headers: Record<string, string>;
  body: Uint8Array;
  deliveries: number;
};

/** An event that can never be handled, however often it is tried. */
export class UnreadableEventError extends Error {
  override readonly name = 'UnreadableEventError';
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Reads headers and body; throws UnreadableEventError. Unknown fields are a newer producer's and are skipped. */
export function readEvent(raw: Pick<RawEvent, 'headers' | 'body'>, reactions: ReadonlyMap<string, Reaction>): Heard<Message> {
  const id = raw.headers['ce-id'] ?? '';
  const type = raw.headers['ce-type'] ?? '';
  if (!UUID.test(id)) throw new UnreadableEventError(`header ce-id is not a UUID: "${id.slice(0, 64)}"`);
  const reaction = reactions.get(type);
  if (reaction === undefined) throw new UnreadableEventError(`no reaction to events of type "${type.slice(0, 200)}"`);
  try {
    // Not fromJsonString, which goes through the text once more, character by character, for keys that stand twice.
    const json = JSON.parse(Buffer.from(raw.body.buffer, raw.body.byteOffset, raw.body.byteLength).toString('utf8')) as JsonValue;
    const body = fromJson(reaction.schema, json, { ignoreUnknownFields: true });
    return { id, type, time: new Date(raw.headers['ce-time'] ?? Number.NaN), version: Number(raw.headers['millrace-version']), body };
  } catch (error) {
    throw new UnreadableEventError(`the body is no ${type}`, { cause: error });
  }
}

/**
 * Remembers events and hands them to their reactions, type by type, as if all of them were new: none is looked for before, and nobody waits
 * for the answer. Fails as a whole when one is a repeat (isRepeat), or becomes one because another instance was faster; then handleOnce.
 */
export async function handleNew(tx: Tx, events: Heard<Message>[], reactions: ReadonlyMap<string, Reaction>): Promise<void> {
  const byId = identified(events);
  const remembered = tx.query(sql`INSERT INTO inbox (event_id) SELECT unnest(${idsOf(byId)}::uuid[])`);
  remembered.catch(() => {});
  // What a reaction meets after a repeat was found is a transaction that has failed: the repeat is what there is to say.
  await react(tx, [...byId.values()], reactions).catch(async (error: unknown) => {
    await remembered;
    throw error;
  });
  await remembered;
}

/** Remembers the events, and hands those that are new to their reactions, type by type. */
export async function handleOnce(tx: Tx, events: Heard<Message>[], reactions: ReadonlyMap<string, Reaction>): Promise<void> {
  const byId = identified(events);
  const fresh = await tx.query<{ event_id: string }>(sql`INSERT INTO inbox (event_id) SELECT unnest(${idsOf(byId)}::uuid[]) ON CONFLICT DO NOTHING RETURNING event_id`);
  const isFresh = new Set(fresh.map((row) => row.event_id));
  await react(tx, [...byId].filter(([id]) => isFresh.has(id)).map(([, event]) => event), reactions);
}

export function isRepeat(error: unknown): boolean {
  return isKeyTaken(error, 'inbox_pkey');
}

async function react(tx: Tx, events: Heard<Message>[], reactions: ReadonlyMap<string, Reaction>): Promise<void> {
  const byType = Map.groupBy(events, ({ type }) => type);
  for (const [type, reaction] of reactions) {
    const mine = byType.get(type);
    if (mine) await reaction.handle(tx, mine);
  }
}

const identified = (events: Heard<Message>[]) => new Map(events.map((event) => [event.id.toLowerCase(), event]));
/** In their order, so that two instances with overlapping batches can't deadlock. */
const idsOf = (byId: ReadonlyMap<string, unknown>) => [...byId.keys()].sort();
