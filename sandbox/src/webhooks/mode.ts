// How webhooks misbehave on request, and what that means for one of them.
import { asObject, number, oneOf } from '../faults.ts';

export const MODES = ['normal', 'duplicate', 'reorder', 'delay', 'drop', 'forge'] as const;

export interface Mode {
  mode: (typeof MODES)[number];
  copies: number; // duplicate: deliveries in all; forge: forged ones beside the genuine one
  delay_ms: number; // delay: how long; reorder: the window within which the order is turned round
  probability: number;
}

export interface Plan {
  drop: boolean;
  /** Milliseconds from now. */
  wait: number;
  copies: number;
  forged: number;
  /** Within a turned-round window the younger goes first. */
  reversed: boolean;
}

export const NORMAL: Mode = { mode: 'normal', copies: 1, delay_ms: 0, probability: 1 };

const MAX_COPIES = 50;
const MAX_DELAY_MS = 600_000;
const DEFAULTS: Record<Mode['mode'], { copies: number; delay_ms: number }> = {
  normal: { copies: 1, delay_ms: 0 },
  duplicate: { copies: 5, delay_ms: 0 },
  reorder: { copies: 1, delay_ms: 500 },
  delay: { copies: 1, delay_ms: 5_000 },
  drop: { copies: 1, delay_ms: 0 },
  forge: { copies: 4, delay_ms: 0 }, // one of each kind of forgery
};

export function parseMode(body: unknown): Mode {
  const fields = asObject(body, ['mode', 'copies', 'delay_ms', 'probability']);
  const mode = oneOf(fields, 'mode', MODES);
  return {
    mode,
    copies: number(fields, 'copies', { least: 1, most: MAX_COPIES, integer: true }) ?? DEFAULTS[mode].copies,
    delay_ms: number(fields, 'delay_ms', { least: 0, most: MAX_DELAY_MS, integer: true }) ?? DEFAULTS[mode].delay_ms,
    probability: number(fields, 'probability', { least: 0, most: 1, integer: false }) ?? 1,
  };
}

export function planDelivery(mode: Mode, now: number, random: () => number = Math.random): Plan {
  const plan: Plan = { drop: false, wait: 0, copies: 1, forged: 0, reversed: false };
  if (mode.mode === 'normal' || (mode.probability < 1 && random() >= mode.probability)) return plan;
  switch (mode.mode) {
    case 'duplicate':
      return { ...plan, copies: mode.copies };
    case 'reorder': {
      // Mirrored at the window's end: what happened first is sent last.
      const end = (Math.floor(now / mode.delay_ms) + 1) * mode.delay_ms;
      return { ...plan, wait: mode.delay_ms === 0 ? 0 : 2 * (end - now), reversed: true };
    }
    case 'delay':
      return { ...plan, wait: mode.delay_ms };
    case 'drop':
      return { ...plan, drop: true };
    case 'forge':
      return { ...plan, forged: mode.copies };
    default:
      return mode.mode satisfies never;
  }
}
