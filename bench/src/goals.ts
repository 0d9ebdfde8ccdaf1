// What is to be reached, as ratios wherever a ratio can say it: absolute rates belong to one machine.
import { WANTED_JOURNEYS } from './flags.ts';
import { serviceAndDatabase, type Figure } from './measure.ts';
import type { Growth } from './growth.ts';
import type { Results } from './run.ts';

export type Goal = { name: string; wanted: string; measured: string; reached: boolean | undefined };

const MAX_MEMORY_MB = 700;
/** A second, of each consumer's backlog. */
export const WANTED_EVENTS = 10_000;
/** More than this under way at the end than at the start is a backlog that grows. */
const GROWTH = 1.25;

export function goals(apart: Results, together: Results | undefined, growth: Growth | undefined): Goal[] {
  const { figures: at, journey } = apart;
  const one = at['place, edge, 1'];
  const open = at['open loop at half, edge'];
  const slowest = Object.entries(apart.drained).sort(([, a], [, b]) => a.rate - b.rate)[0];
  return [
    atLeast('place, apart, 64 clients, at the edge', 0.5, ratio(at['place, edge, 64'], at['limit: insert']), ' × L'),
    atLeast('place, apart, 64 clients, at the order service', 0.5, ratio(at['place, order, 64'], at['limit: insert']), ' × L'),
    atLeast('place, together, 64 clients, at the edge', 0.8, ratio(together?.figures['place, edge, 64'], together?.figures['limit: insert']), ' × L'),
    atLeast('place, together, 64 clients, at the order service', 0.8, ratio(together?.figures['place, order, 64'], together?.figures['limit: insert']), ' × L'),
    atLeast('flash sale on one sku, apart', 0.9, ratio(at['flash, edge, 64'], at['place, edge, 64']), ' × the spread case'),
    atLeast('holds of one sku at the stock statement', 10, ratio(at['stock statement'], at['limit: stock update']), ' × an update per request'),
    atMost('service and database CPU per order, apart', 650, cpuOf(at['place, order, 64']), ' µs'),
    atMost('service and database CPU per order, together', 450, cpuOf(together?.figures['place, order, 64']), ' µs'),
    steady(journey, atLeast(`whole journey, apart${journey ? `, for ${journey.seconds} s, ${journey.backlog[0]} under way in its first quarter, ${journey.backlog[1]} in its last` : ''}`, WANTED_JOURNEYS, journey?.rate, ' orders/s')),
    atMost('idle latency of place at the edge, p50', 4, one?.p50, ' ms'),
    atMost('idle latency of place at the edge, p99', 15, one?.p99, ' ms'),
    atMost('idle latency of place at the order service, p50', 4, at['place, order, 1']?.p50, ' ms'),
    atMost('idle latency of place at the order service, p99', 15, at['place, order, 1']?.p99, ' ms'),
    atMost('open loop at half of the maximum, p99', 50, open?.p99, ' ms'),
    atLeast(`a consumer draining a backlog${slowest ? ` (the slowest: ${slowest[0]})` : ''}`, WANTED_EVENTS, slowest?.[1].rate, ' events/s'),
    atMost('memory of services and edge under load', MAX_MEMORY_MB, apart.memory.pss || undefined, ' MB'),
    grown(growth),
  ];
}

function grown(growth: Growth | undefined): Goal {
  const [first, last] = [growth?.[0], growth?.at(-1)];
  const sizes = first && last ? `${last.orders.toLocaleString('en')} orders against ${first.orders.toLocaleString('en')}` : 'a million orders against ten thousand';
  return atMost(`service and database CPU per order, ${sizes}`, 1.15, first && last && serviceAndDatabase(last.figure) / serviceAndDatabase(first.figure), ' ×');
}

export function ratio(figure: Figure | undefined, to: Figure | undefined): number | undefined {
  return figure && to && to.rate > 0 ? figure.rate / to.rate : undefined;
}

function cpuOf(figure: Figure | undefined): number | undefined {
  return figure && serviceAndDatabase(figure);
}

function steady(journey: Results['journey'], goal: Goal): Goal {
  const grows = journey !== undefined && journey.backlog[1] > journey.backlog[0] * GROWTH;
  return grows ? { ...goal, measured: `${goal.measured}, and the backlog grew`, reached: false } : goal;
}

function atLeast(name: string, wanted: number, measured: number | undefined, unit: string): Goal {
  return { name, wanted: `≥ ${wanted}${unit}`, measured: say(measured, unit), reached: measured === undefined ? undefined : measured >= wanted };
}

function atMost(name: string, wanted: number, measured: number | undefined, unit: string): Goal {
  return { name, wanted: `≤ ${wanted}${unit}`, measured: say(measured, unit), reached: measured === undefined ? undefined : measured <= wanted };
}

function say(value: number | undefined, unit: string): string {
  return value === undefined ? 'not measured' : `${short(value)}${unit}`;
}

export function short(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value >= 10 ? value.toFixed(1) : value.toFixed(value >= 1 ? 2 : 3);
}
