// The stock of one order: every legal step, and what it moves. Pure; imports only the levels it moves.
import { available, type Cause, type Movement, type MovementKind, type Stock } from './stock.ts';

export type ReservationState = 'HELD' | 'COMMITTED' | 'RELEASED' | 'RESTOCKED';
export type ReleaseReason = '' | 'EXPIRED' | 'ORDER_CANCELLED' | 'REQUESTED' | 'SHORTFALL';
export type Line = { sku: string; quantity: number };

export type Reservation = {
  orderId: string;
  state: ReservationState;
  /** Summed per sku, sorted by sku. */
  lines: Line[];
  holdUntil: Date;
  releaseReason: ReleaseReason;
  /** What refunds asked to put back, by refund: remembered in every state, booked from the sale on. */
  returns: Record<string, Line[]>;
  version: number;
  createTime: Date;
  updateTime: Date;
};

/** What the world is to hear of a step. */
export type Notice = { kind: 'COMMITTED' | 'RELEASED' | 'SHORTFALL'; reservation: Reservation; lines: Line[]; restocked: boolean };
export type Step = { reservation: Reservation; movements: Movement[]; notices: Notice[] };
export type LevelOf = (sku: string) => Stock | undefined;

/** RELEASED is left again only by a lost hold: one that expired or was given back by hand, never one whose order is cancelled. */
const NEXT: Record<ReservationState, readonly ReservationState[]> = {
  HELD: ['COMMITTED', 'RELEASED'],
  RELEASED: ['HELD', 'COMMITTED', 'RELEASED'],
  COMMITTED: ['COMMITTED', 'RESTOCKED'],
  RESTOCKED: [],
};

const DEFAULT_HOLD_MS = 30 * 60_000;

export type Wish = { orderId: string; lines: Line[]; holdUntil?: Date | undefined; actor: string };

/** Holds all lines or throws why not. Holding again what is held changes nothing: undefined. */
export function hold(current: Reservation | undefined, wish: Wish, levelOf: LevelOf, now: Date): Step | undefined {
  const lines = summed(wish.lines);
  if (current !== undefined && !(current.state === 'RELEASED' && current.releaseReason === 'EXPIRED')) {
    if ((current.state === 'HELD' || current.state === 'COMMITTED') && sameLines(current.lines, lines)) return undefined;
    throw new IllegalTransitionError(current);
  }
  for (const { sku, quantity } of lines) {
    const level = levelOf(sku);
    if (level?.discontinued) throw new ProductArchivedError(sku);
    if (level === undefined || !level.opened) throw new UnknownSkuError(sku);
    if (available(level) < quantity) throw new OutOfStockError(level, quantity);
  }
  const holdUntil = wish.holdUntil ?? new Date(now.getTime() + DEFAULT_HOLD_MS);
  const reservation = step(current ?? blank(wish.orderId, now), { state: 'HELD', lines, holdUntil, releaseReason: '' }, now);
  return { reservation, movements: movements(reservation, 'HELD', lines, 0, 1, { reason: '', actor: wish.actor }), notices: [] };
}

/** The order is paid. A lost hold is taken again if the stock is still there; if not, that is a shortfall. */
export function commit(current: Reservation, levelOf: LevelOf, now: Date, cause: Cause): Step | undefined {
  const lost = current.state === 'RELEASED' && (current.releaseReason === 'EXPIRED' || current.releaseReason === 'REQUESTED');
  if (current.state !== 'HELD' && !lost) return undefined;
  if (lost && current.lines.some(({ sku, quantity }) => isShort(levelOf(sku), quantity))) {
    const reservation = step(current, { state: 'RELEASED', releaseReason: 'SHORTFALL' }, now);
    return { reservation, movements: [], notices: [{ kind: 'SHORTFALL', reservation, lines: current.lines, restocked: false }] };
  }
  const reservation = step(current, { state: 'COMMITTED', releaseReason: '' }, now);
  const sale: Step = {
    reservation,
    movements: movements(reservation, 'COMMITTED', current.lines, -1, lost ? 0 : -1, cause),
    notices: [{ kind: 'COMMITTED', reservation, lines: current.lines, restocked: false }],
  };
  return then(sale, putBack(reservation, [], returned(reservation), now, cause));
}

/** The order is cancelled: whatever it has goes back. Without a reservation it leaves a tombstone, so that a late one is refused. */
export function cancel(current: Reservation | undefined, orderId: string, now: Date, cause: Cause): Step | undefined {
  if (current === undefined) {
    const changes = { state: 'RELEASED', releaseReason: 'ORDER_CANCELLED' } as const;
    return { reservation: step(blank(orderId, now), changes, now), movements: [], notices: [] };
  }
  switch (current.state) {
    case 'HELD':
      return giveBack(current, 'ORDER_CANCELLED', now, cause);
    case 'COMMITTED':
      return putBack(current, returned(current), current.lines, now, cause);
    case 'RELEASED':
      // A payment that comes after this must not take the stock again.
      if (current.releaseReason === 'ORDER_CANCELLED' || current.releaseReason === 'SHORTFALL') return undefined;
      return { reservation: step(current, { state: 'RELEASED', releaseReason: 'ORDER_CANCELLED' }, now), movements: [], notices: [] };
    case 'RESTOCKED':
      return undefined;
    default:
      return current.state satisfies never;
  }
}

/** The hold's time is over. */
export function expire(current: Reservation, now: Date, cause: Cause): Step | undefined {
  return current.state === 'HELD' && current.holdUntil < now ? giveBack(current, 'EXPIRED', now, cause) : undefined;
}

/** Somebody gives a hold back by hand. What is sold stays sold. */
export function release(current: Reservation, now: Date, cause: Cause): Step | undefined {
  if (current.state === 'HELD') return giveBack(current, 'REQUESTED', now, cause);
  if (current.state === 'RELEASED') return undefined;
  throw new IllegalTransitionError(current);
}

/** A refund puts units back, at most what was sold. Before the sale it is only remembered. */
export function takeBack(current: Reservation, refundId: string, lines: Line[], now: Date, cause: Cause): Step | undefined {
  if (Object.hasOwn(current.returns, refundId) || lines.length === 0) return undefined;
  const remembering = { ...current, returns: { ...current.returns, [refundId]: summed(lines) } };
  const step = current.state === 'COMMITTED' ? putBack(remembering, returned(current), returned(remembering), now, cause) : undefined;
  return step ?? { reservation: { ...remembering, updateTime: now }, movements: [], notices: [] };
}

/** Summed per sku, sorted by sku. */
export function summed(lines: readonly Line[]): Line[] {
  const bySku = new Map<string, number>();
  for (const { sku, quantity } of lines) bySku.set(sku, (bySku.get(sku) ?? 0) + quantity);
  return [...bySku].map(([sku, quantity]) => ({ sku, quantity })).sort((a, b) => (a.sku < b.sku ? -1 : 1));
}

/** Units of each line that refunds have put back, or will at the sale. */
function returned({ lines, returns }: Reservation): Line[] {
  const asked = new Map(summed(Object.values(returns).flat()).map(({ sku, quantity }) => [sku, quantity]));
  return lines.map(({ sku, quantity }) => ({ sku, quantity: Math.min(quantity, asked.get(sku) ?? 0) }));
}

function giveBack(current: Reservation, releaseReason: ReleaseReason, now: Date, cause: Cause): Step {
  const reservation = step(current, { state: 'RELEASED', releaseReason }, now);
  return {
    reservation,
    movements: movements(reservation, 'RELEASED', current.lines, 0, -1, cause),
    notices: [{ kind: 'RELEASED', reservation, lines: current.lines, restocked: false }],
  };
}

/** Books what is to be back beyond what is back already; RESTOCKED when nothing is left. */
function putBack(current: Reservation, before: Line[], after: Line[], now: Date, cause: Cause): Step | undefined {
  const had = new Map(before.map(({ sku, quantity }) => [sku, quantity]));
  const lines = after.map(({ sku, quantity }) => ({ sku, quantity: quantity - (had.get(sku) ?? 0) })).filter(({ quantity }) => quantity > 0);
  const all = sameLines(after, current.lines);
  if (lines.length === 0 && !all) return undefined;
  const reservation = step(current, { state: all ? 'RESTOCKED' : 'COMMITTED' }, now);
  return {
    reservation,
    movements: movements(reservation, 'RESTOCKED', lines, 1, 0, cause),
    notices: [{ kind: 'RELEASED', reservation, lines, restocked: true }],
  };
}

function then(first: Step, second: Step | undefined): Step {
  if (second === undefined) return first;
  return { reservation: second.reservation, movements: [...first.movements, ...second.movements], notices: [...first.notices, ...second.notices] };
}

function step(current: Reservation, changes: Partial<Reservation> & { state: ReservationState }, now: Date): Reservation {
  if (current.version > 0 && !NEXT[current.state].includes(changes.state)) throw new IllegalTransitionError(current);
  return { ...current, ...changes, version: current.version + 1, updateTime: now };
}

function movements({ orderId }: Reservation, kind: MovementKind, lines: Line[], onHand: number, reserved: number, cause: Cause): Movement[] {
  return lines.map(({ sku, quantity }) => ({ sku, kind, onHandDelta: onHand * quantity, reservedDelta: reserved * quantity, orderId, ...cause }));
}

function blank(orderId: string, now: Date): Reservation {
  return { orderId, state: 'HELD', lines: [], holdUntil: now, releaseReason: '', returns: {}, version: 0, createTime: now, updateTime: now };
}

/** A level that is not at hand is not short: booking on it asks for another try. */
function isShort(level: Stock | undefined, quantity: number): boolean {
  return level !== undefined && available(level) < quantity;
}

function sameLines(a: Line[], b: Line[]): boolean {
  return a.length === b.length && a.every(({ sku, quantity }, i) => b[i]?.sku === sku && b[i]?.quantity === quantity);
}

export class IllegalTransitionError extends Error {
  readonly reason = 'ILLEGAL_TRANSITION';
  readonly metadata: Record<string, string>;
  constructor({ orderId, state }: Reservation) {
    super(`the stock of order ${orderId} is ${state.toLowerCase()}`);
    this.metadata = { state: `RESERVATION_STATE_${state}` };
  }
}

export class OutOfStockError extends Error {
  readonly reason = 'OUT_OF_STOCK';
  readonly metadata: Record<string, string>;
  constructor(level: Stock, requested: number) {
    super(`${requested} of ${level.sku} were asked for, ${available(level)} are available`);
    this.metadata = { sku: level.sku, requested: String(requested), available: String(available(level)) };
  }
}

export class UnknownSkuError extends Error {
  readonly reason = 'UNKNOWN_SKU';
  readonly metadata: Record<string, string>;
  constructor(sku: string) {
    super(`there is no stock record of ${sku}`);
    this.metadata = { sku };
  }
}

export class ProductArchivedError extends Error {
  readonly reason = 'PRODUCT_ARCHIVED';
  readonly metadata: Record<string, string>;
  constructor(sku: string) {
    super(`product ${sku} is archived`);
    this.metadata = { sku };
  }
}

export class ReservationNotFoundError extends Error {
  readonly reason = 'NOT_FOUND';
  constructor(orderId: string) {
    super(`there is no reservation of order ${orderId}`);
  }
}
