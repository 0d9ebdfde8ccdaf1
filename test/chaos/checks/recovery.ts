// The way back to normal: how long after the healing as many orders are taken as before the fault.
import type { Load } from '../buyers/load.ts';
import { pause } from '../wait.ts';

/** A way back that takes longer than this is a broken promise. */
export const RECOVERY_LIMIT_MS = 30_000;
const ENOUGH = 0.9;
/** Long enough that one order more or less makes no difference. */
const WINDOW_MS = 4_000;
const STEP_MS = 250;

export type Recovery = { goodput: number; recoverMs: number | undefined };

/** Waits, under load, for the first window of which at least 90 % of the control's orders a second were acknowledged. */
export async function recovery({ goodput }: Pick<Load, 'goodput'>, control: number, healed: number): Promise<Recovery> {
  for (let from = healed; ; from += STEP_MS) {
    await pause(Math.max(0, from + WINDOW_MS - Date.now()));
    const reached = goodput(from, from + WINDOW_MS);
    if (reached >= ENOUGH * control) return { goodput: reached, recoverMs: from - healed };
    if (from - healed >= RECOVERY_LIMIT_MS) return { goodput: reached, recoverMs: undefined };
  }
}
