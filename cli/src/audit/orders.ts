// Orders: what was acknowledged (I5, I6), and the steps they took (I13). Pure.
import type { Violation } from './report.ts';

/** What a load generator wrote down of one request id, all tries together. */
export type Acknowledged = { requestId: string; ok: boolean; orderIds: string[] };

export function judgeRequest({ requestId, ok, orderIds }: Acknowledged, orders: string[]): Violation[] {
  const found: Violation[] = [];
  const say = (invariant: 'I5' | 'I6', problem: string) => void found.push({ invariant, what: requestId, problem });
  const acked = [...new Set(orderIds)];
  if (acked.length > 1) say('I6', `acknowledged as ${acked.join(' and ')}`);
  const lost = acked.filter((orderId) => !orders.includes(orderId));
  if (lost.length > 0) say('I5', `acknowledged as ${lost.join(', ')}, which is not there`);
  else if (ok && orders.length === 0) say('I5', 'acknowledged, and there is no order');
  if (orders.length > 1) say('I6', `${orders.length} orders: ${orders.join(', ')}`);
  return found;
}

/** A line of the journal; undefined when it is none. */
export function readJournalLine(line: string): { requestId: string; outcome: string; orderId: string } | undefined {
  try {
    const { request_id: requestId, outcome, order_id: orderId = '' } = JSON.parse(line) as { request_id?: unknown; outcome?: unknown; order_id?: unknown };
    if (typeof requestId !== 'string' || typeof outcome !== 'string' || !['ok', 'fail', 'unknown'].includes(outcome)) return undefined;
    return { requestId, outcome, orderId: typeof orderId === 'string' ? orderId : '' };
  } catch {
    return undefined;
  }
}

type Steps = Record<string, readonly string[]>;

/** '' is where everything begins. */
const ORDER: Steps = { '': ['PENDING_PAYMENT'], PENDING_PAYMENT: ['CONFIRMED', 'CANCELLED'], CONFIRMED: ['FULFILLED', 'CANCELLED'] };
/** As its events tell: opened silently, and the provider's money is the truth even after we gave up. */
const PAYMENT: Steps = {
  '': ['succeeded', 'failed', 'action_required', 'cancelled'],
  failed: ['succeeded', 'failed', 'action_required', 'cancelled'],
  action_required: ['succeeded', 'failed', 'action_required', 'cancelled'],
  cancelled: ['succeeded'],
  succeeded: ['refunded', 'disputed'],
  refunded: ['refunded', 'disputed'],
  disputed: ['refunded', 'disputed'],
};
/** Per order and sku, as the stock ledger tells. A hold that ended may be taken again, with or without holding it first. */
const STOCK: Steps = { '': ['HELD', 'COMMITTED'], HELD: ['RELEASED', 'COMMITTED'], RELEASED: ['HELD', 'COMMITTED'], COMMITTED: ['RESTOCKED'], RESTOCKED: ['RESTOCKED'] };

/** `whole`: the path is known from its beginning. */
function firstIllegal(steps: Steps, path: string[], whole: boolean): string | undefined {
  let from = whole ? '' : undefined;
  for (const to of path) {
    if (from !== undefined && !steps[from]?.includes(to)) return `${from || 'the beginning'} → ${to}`;
    from = to;
  }
  return undefined;
}

/** The states in an order's timeline, and the one it has. Entries that leave the state as it is repeat it. */
export function orderPath(path: string[], state: string, whole: boolean): string | undefined {
  const changes = path.filter((step, i) => step !== path[i - 1]);
  const illegal = firstIllegal(ORDER, changes, whole);
  if (illegal) return `${illegal} is no legal step`;
  if (changes.length === 0) return 'it has no timeline';
  return changes.at(-1) !== state ? `its timeline ends at ${changes.at(-1)}, it is ${state}` : undefined;
}

export function paymentPath(events: string[], state: string, whole: boolean): string | undefined {
  const illegal = firstIllegal(PAYMENT, events, whole);
  if (illegal) return `${illegal} is no legal step`;
  const captured = events.some((event) => event === 'succeeded' || event === 'refunded' || event === 'disputed');
  if (captured !== (state === 'SUCCEEDED') && (whole || captured)) return `its events say ${captured ? 'captured' : 'not captured'}, it is ${state}`;
  return undefined;
}

/** Movements of one order and sku, what they leave held and sold, and the state of the reservation. */
export function stockPath(kinds: string[], left: { held: number; sold: number }, state: string): string | undefined {
  const illegal = firstIllegal(STOCK, kinds, true);
  if (illegal) return `${illegal} is no legal step`;
  if (state === '') return 'stock was moved without a reservation';
  const { held, sold } = left;
  const fits = { HELD: held > 0 && sold === 0, COMMITTED: held === 0 && sold >= 0, RELEASED: held === 0 && sold === 0, RESTOCKED: held === 0 && sold === 0 }[state];
  return fits === false ? `its movements leave ${held} held and ${sold} sold, its reservation is ${state}` : undefined;
}
