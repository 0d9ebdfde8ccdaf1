// I16: how buyers fared while somebody attacked, against the seconds before; and whether one call stays one call inside.
import { sumAt } from '../../support/metrics.ts';
import type { AuditRow } from '../checks/audit.ts';
import { tally } from '../checks/tally.ts';
import type { System } from '../system/system.ts';
import type { Journal } from './journal.ts';

export type Window = { from: number; to: number };

const LEAST_GOODPUT = 0.7;
/** On a machine that also carries the attacker: this is no one's fault yet, however fast it was before. */
const TOLERABLE_P99_MS = 2_500;
const MOST_TIMES_SLOWER = 5;
/** Calls to a neighbour for one PlaceOrder: they are shared by the orders of the moment, and repeated only on failure. */
const MOST_INNER_CALLS = 1.1;
const INNER = { product: 'millrace.product.v1.ProductService/BatchGetProducts', inventory: 'millrace.inventory.v1.InventoryService/ReserveStock' } as const;
const OUTER = 'millrace.order.v1.OrderService/PlaceOrder';

export function served(journal: Journal, calm: Window, attacked: Window): AuditRow {
  const seen = tally('I16');
  const [before, during] = [goodputIn(journal, calm), goodputIn(journal, attacked)];
  seen.look('goodput', during < LEAST_GOODPUT * before ? `${during.toFixed(1)} orders per second under attack, ${before.toFixed(1)} before` : undefined);
  const [p99Before, p99] = [p99In(journal, calm), p99In(journal, attacked)];
  seen.look('p99', p99 > Math.max(TOLERABLE_P99_MS, MOST_TIMES_SLOWER * p99Before) ? `${p99.toFixed(0)} ms under attack, ${p99Before.toFixed(0)} ms before` : undefined);
  return seen.row();
}

/** `open`: orders under way while it was looked, whose inner calls may be counted already and they themselves not yet. */
export type CallCounts = { outer: number; product: number; inventory: number; open: number };

export async function callCounts({ runtime: { services } }: System, journal: Journal): Promise<CallCounts> {
  const from = Date.now();
  const [outer, product, inventory] = await Promise.all([callsAt(services.order, OUTER), callsAt(services.product, INNER.product), callsAt(services.inventory, INNER.inventory)]);
  const open = journal.entries().filter(({ request, outcome, answered_at = '' }) => request.do === 'place' && (outcome === undefined || Date.parse(answered_at) >= from)).length;
  return { outer, product, inventory, open };
}

export function withinBudget(before: CallCounts, after: CallCounts): AuditRow {
  const seen = tally('I16');
  const orders = after.outer - before.outer + after.open;
  for (const name of ['product', 'inventory'] as const) {
    const calls = after[name] - before[name];
    seen.look(`calls to ${name}`, calls > MOST_INNER_CALLS * orders ? `${calls} calls for ${orders} orders` : undefined);
  }
  return seen.row();
}

function goodputIn(journal: Journal, { from, to }: Window): number {
  return placedIn(journal, { from, to }).filter(({ outcome }) => outcome === 'ok').length / ((to - from) / 1_000);
}

/** Of all that were sent, whatever became of them. */
function p99In(journal: Journal, window: Window): number {
  const times = placedIn(journal, window).map(({ sent_at, answered_at }) => (answered_at === undefined ? Infinity : Date.parse(answered_at) - Date.parse(sent_at))).toSorted((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)] ?? 0;
}

function placedIn(journal: Journal, { from, to }: Window) {
  return journal.entries().filter(({ request, sent_at }) => request.do === 'place' && Date.parse(sent_at) >= from && Date.parse(sent_at) < to);
}

async function callsAt(url: string, rpc: string): Promise<number> {
  return sumAt(url, 'millrace_rpc_calls_total', `rpc="${rpc}`);
}
