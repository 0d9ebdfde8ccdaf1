// What an operation is given, and what it answers with.
import type { Config } from '../config.ts';
import type { EventRecord, Line, Subject } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import type { ErrorFields } from './errors.ts';
import type { Params } from './form.ts';
import type { RenderContext, Rendered } from './render.ts';

/** Something that happens to a record: by a request, by the customer's bank, or by time. */
export interface Act {
  store: Store;
  at: number; // milliseconds
  requestId: string | null;
  /** Whether there is a webhook endpoint that hears events of this type. */
  hooks: (type: string) => boolean;
  /** A fault asks for this to be declined. */
  decline: boolean;
}

export interface Call extends Act {
  params: Params;
  /** The id in the path, or ''. */
  id: string;
  path: string;
  render: RenderContext;
}

export type Change = Pick<Line, 'intent' | 'charge' | 'refund' | 'dispute' | 'events' | 'ledger'>;

/** A read's object; or a change to be written, answered with one of its records or with an error. */
export type Result = { object: Rendered } | { change: Change; status: number; on?: Subject; error?: ErrorFields };

export function hooksOf({ stripe: { webhookUrl, webhookEvents } }: Config): Act['hooks'] {
  return (type) => webhookUrl !== undefined && (webhookEvents.has('*') || webhookEvents.has(type));
}

export const seconds = (act: Act): number => Math.floor(act.at / 1000);

export function tell(act: Act, type: string, on: Subject): EventRecord {
  return { id: act.store.events.newId(), type, on, request: act.requestId, ...(act.hooks(type) && { hook: true as const }) };
}
