// Buyers: a steady stream of orders, cancellations and refunds, each once in the journal; unknown outcomes are asked again later.
import { Code, ConnectError } from '@connectrpc/connect';
import { ErrorInfoSchema, RetryInfoSchema } from '@millrace/gen/google/rpc/error_details_pb.js';
import type { Random } from '../random.ts';
import { pause, until } from '../wait.ts';
import type { Clients } from './clients.ts';
import type { Entry, Journal } from './journal.ts';

export type Request =
  | { do: 'place'; email: string; phone: string; lines: { sku: string; quantity: number }[]; paymentMethod: string }
  | { do: 'cancel'; orderId: string }
  | { do: 'refund'; orderId: string; amount: number };

type Patience = Pick<LoadOptions, 'repeats' | 'waitsForReady'>;
type Placing = Omit<Extract<Request, { do: 'place' }>, 'do' | 'email' | 'phone'>;

export type LoadOptions = {
  perSecond: number;
  skus: readonly string[];
  /** Shares of all orders. */
  declined?: number;
  cancelled?: number;
  refunded?: number;
  /** How often a buyer repeats a call of unknown outcome before it counts as one. */
  repeats?: number;
  /** Repeats only when the public port says that all services are ready. */
  waitsForReady?: boolean;
};

export type Load = {
  /** Runs until stop(), or until it is started again with another load. */
  start(options: LoadOptions): void;
  /** No new orders; answers when every call has ended. */
  stop(): Promise<void>;
  place(request: Placing): Promise<Entry>;
  /** Asks again about everything that nobody knows the outcome of, with the same request ids, until all is told. */
  resolveUnknown(limitMs: number): Promise<void>;
  /** Acknowledged orders per second between two moments (milliseconds since 1970). */
  goodput(from: number, to: number): number;
};

/** A caller that waits longer than this has left. */
const CALL_MS = 5_000;
/** Open calls beyond this are not made: the machine is shared. */
const MAX_OPEN = 200;
const MAX_CANCEL_DELAY_MS = 1_500;
const REFUND_DELAY_MS = 2_500;
const RETRY_PAUSE_MS = 300;
const REFUND_MINOR = 100;
/** Pause of a buyer whom nobody told when to come back. */
const NOT_TOLD_MS = 500;
const READY_LIMIT_MS = 30_000;
/** Every other buyer wants text messages too. */
const PHONE = '+4917012345678';

// What a service says after it has looked at the request. All else leaves open what happened.
const REFUSED = new Set([Code.InvalidArgument, Code.FailedPrecondition, Code.AlreadyExists, Code.NotFound, Code.PermissionDenied, Code.Unauthenticated, Code.ResourceExhausted]);

export function createLoad(clients: Clients, journal: Journal, random: Random, name: string, ready: () => Promise<boolean>): Load {
  let number = 0;
  let timer: NodeJS.Timeout | undefined;
  const open = new Set<Promise<unknown>>();
  const follow = <T>(work: Promise<T>): Promise<T> => {
    const tracked: Promise<unknown> = work.catch(() => {}).finally(() => open.delete(tracked));
    open.add(tracked);
    return work;
  };

  const ask = async (entry: Entry, resolving: boolean): Promise<unknown> => {
    try {
      const order_id = await send(clients, entry);
      // What was in the way of the first answer stays: reports name it.
      journal.answered(entry, 'ok', { order_id, ...(resolving && { resolved: true, error: entry.error }) });
    } catch (error) {
      const refused = error instanceof ConnectError && REFUSED.has(error.code);
      journal.answered(entry, refused ? 'fail' : 'unknown', { error: errorText(error), ...(resolving && refused && { resolved: true }) });
      return error;
    }
    return undefined;
  };
  const make = async (request: Request, { repeats = 0, waitsForReady = false }: Patience): Promise<Entry> => {
    number += 1;
    const entry = journal.sent(`${name}-${number}`, request);
    for (entry.repeats = 0; ; entry.repeats += 1) {
      const error = await ask(entry, false);
      if (entry.outcome !== 'unknown' || entry.repeats >= repeats) return entry;
      await pause(retryDelay(error));
      if (waitsForReady) await until('all services are ready', READY_LIMIT_MS, ready).catch(() => {});
    }
  };
  const place = async (request: Placing, patience: Patience = {}): Promise<Entry> => make({ do: 'place', email: `${name}-${number}@example.com`, phone: number % 2 === 0 ? PHONE : '', ...request }, patience);

  async function one({ skus, declined = 0.05, cancelled = 0.08, refunded = 0.04, ...patience }: LoadOptions): Promise<void> {
    const lines = random.shuffled(skus).slice(0, 1 + Math.floor(random.next() * Math.min(3, skus.length))).map((sku) => ({ sku, quantity: 1 + Math.floor(random.next() * 2) }));
    const roll = random.next();
    const cancelDelay = random.between(0, MAX_CANCEL_DELAY_MS);
    const entry = await place({ lines, paymentMethod: roll < declined ? 'pm_card_chargeDeclined' : 'pm_card_visa' }, patience);
    if (entry.outcome !== 'ok' || entry.order_id === undefined) return;
    if (roll < declined + cancelled) {
      await pause(cancelDelay);
      await make({ do: 'cancel', orderId: entry.order_id }, patience);
    } else if (roll < declined + cancelled + refunded) {
      await pause(REFUND_DELAY_MS);
      await make({ do: 'refund', orderId: entry.order_id, amount: REFUND_MINOR }, patience);
    }
  }

  return {
    place: async (request) => follow(place(request)),
    start(options) {
      clearInterval(timer);
      timer = setInterval(() => {
        if (open.size < MAX_OPEN) void follow(one(options));
      }, 1_000 / options.perSecond);
    },
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
    },
    async resolveUnknown(limitMs) {
      const deadline = performance.now() + limitMs;
      for (;;) {
        const left = journal.entries().filter((entry) => entry.outcome === 'unknown');
        if (left.length === 0) return;
        if (performance.now() > deadline) throw new Error(`${left.length} outcomes are still unknown, e.g. ${left[0]?.request_id}: ${left[0]?.error}`);
        await Promise.all(left.slice(0, MAX_OPEN).map(async (entry) => ask(entry, true)));
        await pause(RETRY_PAUSE_MS);
      }
    },
    goodput(from, to) {
      const answered = journal.entries().filter(({ request, outcome, resolved, answered_at = '' }) => request.do === 'place' && outcome === 'ok' && !resolved && Date.parse(answered_at) >= from && Date.parse(answered_at) < to);
      return answered.length / ((to - from) / 1_000);
    },
  };
}

export async function send({ orders }: Clients, { request_id: requestId, request }: Entry): Promise<string> {
  const options = { timeoutMs: CALL_MS };
  switch (request.do) {
    case 'place': {
      const { email, phone, lines, paymentMethod } = request;
      const { order } = await orders.placeOrder({ requestId, customer: { customerId: email, name: 'Chaos Buyer', email, phone }, lines, paymentMethod }, options);
      return order?.orderId ?? '';
    }
    case 'cancel':
      return (await orders.cancelOrder({ requestId, orderId: request.orderId, reason: 'changed my mind' }, options)).order?.orderId ?? '';
    case 'refund':
      return (await orders.refundOrder({ requestId, orderId: request.orderId, amount: { currencyCode: 'EUR', minorUnits: BigInt(request.amount) }, reason: 'a scratch' }, options)).order?.orderId ?? '';
  }
  return request satisfies never;
}

function retryDelay(error: unknown): number {
  const [told] = error instanceof ConnectError ? error.findDetails(RetryInfoSchema) : [];
  return told?.retryDelay ? Number(told.retryDelay.seconds) * 1_000 + told.retryDelay.nanos / 1e6 : NOT_TOLD_MS;
}

function errorText(error: unknown): string {
  if (!(error instanceof ConnectError)) return String(error);
  return `${Code[error.code]} ${error.findDetails(ErrorInfoSchema)[0]?.reason ?? ''} ${error.rawMessage}`.slice(0, 200);
}
