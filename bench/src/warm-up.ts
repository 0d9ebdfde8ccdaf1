// The first orders cost many times what later ones do: nothing is measured before the cost of an order has stopped falling.
import type { Sample } from './measure.ts';

export type WarmUp = { orders: number; cpuPerOrder: number[] };

/** Orders of one step: enough that the clock by which processes are charged (10 ms) is no part of the answer. */
export const STEP = 3_000;
/** Where rough numbers will do, or what follows is long enough to get warm by itself. */
const QUICK_STEP = 500;
const MIN_STEPS = 4;
const MAX_STEPS = 32;
/**
 * Warm is when so many steps in a row brought an order no cheaper than this share of the cheapest before. The engine optimises what an order
 * passes through for some 20,000 orders, one function after the other: two steps that cost the same are not the end of it.
 */
const STEADY_STEPS = 3;
const CHEAPER = 0.95;

/**
 * Each step is shared by the doors at which orders are placed: at one an order costs the services less than at the other. CPU time, because a busy
 * machine changes it less than the clock.
 */
export async function warmUp(doors: ((calls: number) => Promise<Sample>)[], { quick }: { quick: boolean }): Promise<WarmUp> {
  const step = quick ? QUICK_STEP : STEP;
  const cpuPerOrder: number[] = [];
  let [cheapest, steady] = [Infinity, 0];
  while (cpuPerOrder.length < MIN_STEPS || steady < STEADY_STEPS) {
    if (cpuPerOrder.length >= MAX_STEPS) throw new Error(`the system is still cold after ${MAX_STEPS * step} orders: ${cpuPerOrder.map(Math.round).join(', ')} µs an order`);
    const now = await costOfStep(doors, step);
    steady = now < cheapest * CHEAPER ? 0 : steady + 1;
    cheapest = Math.min(cheapest, now);
    cpuPerOrder.push(now);
  }
  return { orders: cpuPerOrder.length * step, cpuPerOrder };
}

async function costOfStep(doors: ((calls: number) => Promise<Sample>)[], step: number): Promise<number> {
  let [used, placed] = [0, 0];
  for (const place of doors) {
    const { cpu, done } = await place(step / doors.length);
    used += (cpu.order ?? cpu.together ?? 0) + (cpu.inventory ?? 0);
    placed += done;
  }
  if (placed < step) throw new Error(`only ${placed} of ${step} orders were taken while warming up`);
  return used / placed;
}
