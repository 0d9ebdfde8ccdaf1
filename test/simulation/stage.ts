// What all actors of the simulation share: the clock, the accidents, the work under way, and the events between commit and stream.
import type { Told } from '../../services/payment/src/apply.ts';
import type { CancelCause, Quantity } from '../../services/order/src/order.ts';
import type { Rules } from './rules.ts';

export const SERVICES = ['product', 'order', 'inventory', 'payment', 'notification'] as const;
export type Service = (typeof SERVICES)[number];

export type Fact =
  | { type: 'product_created' | 'product_updated'; sku: string; name: string; version: number; initialStock: number }
  | { type: 'product_archived'; sku: string }
  | { type: 'placed' | 'fulfilled' | 'confirmed'; orderId: string }
  | { type: 'cancelled'; orderId: string; cause: CancelCause | '' }
  | { type: 'refund_requested'; orderId: string; refundId: string; amount: bigint; restock: Quantity[] }
  | { type: 'payment'; orderId: string; told: Told }
  | { type: 'committed' | 'released' | 'shortfall'; orderId: string };
export type SimEvent = Fact & { id: number; from: Service };

/** What the network or the other side does to one call. */
export const ACCIDENTS = ['none', 'lost', 'unreached', 'busy', 'error', 'error_after'] as const;
/**
 * lost: it was done, the answer never came · unreached: it was not done, and no answer says so · busy: refused before it began ·
 * error: a 500 instead of it · error_after: a 500 although it was done.
 */
export type Accident = (typeof ACCIDENTS)[number];

/** Work of one service between two steps: a crash there drops it, and whatever it has not committed. */
export type Task = { service: Service; name: string; since: number; go: Go };
export type Go = (accident: Accident) => { name: string; go: Go } | undefined;

export type Scene = {
  /** Units of each product at the start. */
  stock: readonly number[];
  /** Whether the provider's webhooks arrive after the faults are over. */
  webhooks: boolean;
  /** How late the provider's search shows an intent. */
  searchLagMs: number;
  /** How late a mail that got no answer is taken. */
  slowMailMs: number;
  /** Whether letters arrive shuffled when the faults are over. */
  shuffled: boolean;
};

export type Stage = {
  /** Milliseconds; everybody's clock is the databases'. */
  now: number;
  readonly rules: Rules;
  readonly scene: Scene;
  tasks: Task[];
  /** What is committed and not published. */
  outboxes: Record<Service, SimEvent[]>;
  /** Every event ever written, in the order of the commits. */
  readonly said: SimEvent[];
  /** Puts an event into the outbox of the transaction that calls it. */
  say(from: Service, fact: Fact): void;
  begin(service: Service, name: string, go: Go): void;
  /** A line of the trace. */
  note(line: () => string): void;
  readonly date: Date;
};

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const START = Date.UTC(2026, 0, 1);

export function createStage(rules: Rules, scene: Scene, trace?: string[]): Stage {
  let nextId = 1;
  const stage: Stage = {
    now: START, rules, scene, tasks: [], said: [],
    outboxes: { product: [], order: [], inventory: [], payment: [], notification: [] },
    say(from, fact) {
      const event = { ...fact, id: nextId++, from };
      stage.said.push(event);
      stage.outboxes[from].push(event);
      stage.note(() => `${from} says ${describe(event)}`);
    },
    begin(service, name, go) {
      stage.tasks.push({ service, name, since: stage.now, go });
      stage.note(() => `${service} begins: ${name}`);
    },
    note: (line) => void trace?.push(`${clock(stage.now)}  ${line()}`),
    get date() {
      return new Date(stage.now);
    },
  };
  return stage;
}

export function describe(event: SimEvent): string {
  const about = 'orderId' in event ? event.orderId : event.sku;
  const what = event.type === 'payment' ? `payment ${event.told.kind} v${event.told.payment.version}${event.told.refund ? ` (${event.told.refund.id}: ${event.told.refund.amount})` : ''}` : event.type;
  return `#${event.id} ${what} of ${about}`;
}

/** A refusal of the services' rules; anything else is a defect. */
export function isRefusal(error: unknown): error is Error & { reason: string } {
  return error instanceof Error && typeof (error as { reason?: unknown }).reason === 'string';
}

function clock(now: number): string {
  const ms = now - START;
  const pad = (n: number) => String(Math.floor(n)).padStart(2, '0');
  return `${pad(ms / HOUR)}:${pad((ms / MINUTE) % 60)}:${pad((ms / 1_000) % 60)}`;
}

/** The earliest of some moments; infinity when there is none. */
export function earliest<T>(items: Iterable<T>, at: (item: T) => number): number {
  let first = Number.POSITIVE_INFINITY;
  for (const item of items) first = Math.min(first, at(item));
  return first;
}

export const NEVER = Number.POSITIVE_INFINITY;
