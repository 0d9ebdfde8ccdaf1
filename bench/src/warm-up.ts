// The first orders cost many times what later ones do: nothing is measured before the cost of an order has stopped falling.
import type { Sample } from './measure.ts';

export type WarmUp = { orders: number; cpuPerOrder: number[] };

/** Orders of one step, and the steps that are taken at least and at most. */
const STEP = 500;
const MIN_STEPS = 4;
const MAX_STEPS = 16;
/** Warm is what costs at least this share of the step before, twice in a row. CPU time, because a busy machine changes it less than the clock. */
const STEADY = 0.85;

/** Each step is shared by the doors at which orders are placed: at one an order costs the services less than at the other. */
export async function warmUp(doors: ((calls: number) => Promise<Sample>)[]): Promise<WarmUp> {
  const cpuPerOrder: number[] = [];
  let steady = 0;
  while (cpuPerOrder.length < MIN_STEPS || steady < 2) {
    if (cpuPerOrder.length >= MAX_STEPS) throw new Error(`the system is still cold after ${MAX_STEPS * STEP} orders: ${cpuPerOrder.map(Math.round).join(', ')} µs an order`);
    const now = await costOfStep(doors);
    const before = cpuPerOrder.at(-1);
    steady = before !== undefined && now >= before * STEADY ? steady + 1 : 0;
    cpuPerOrder.push(now);
  }
  return { orders: cpuPerOrder.length * STEP, cpuPerOrder };
}

async function costOfStep(doors: ((calls: number) => Promise<Sample>)[]): Promise<number> {
  let [used, placed] = [0, 0];
  for (const place of doors) {
    const { cpu, done } = await place(STEP / doors.length);
    used += (cpu.order ?? cpu.together ?? 0) + (cpu.inventory ?? 0);
    placed += done;
  }
  if (placed < STEP) throw new Error(`only ${placed} of ${STEP} orders were taken while warming up`);
  return used / placed;
}
