// Chance that depends on the seed alone, and cheap: a schedule throws a few hundred times. The generator is mulberry32.

export type Dice = {
  /** A whole number from 0 up to, and without, `n`. */
  below(n: number): number;
  chance(probability: number): boolean;
};

/** Neighbouring seeds are unlike: the state starts from a mixed one. */
export function throwing(seed: number): Dice {
  let state = mixed(Math.imul(seed | 0, 0x9e3779b1) ^ 0x85ebca6b);
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    return mixed(state) / 2 ** 32;
  };
  return { below: (n) => Math.floor(next() * n), chance: (probability) => next() < probability };
}

function mixed(state: number): number {
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return (t ^ (t >>> 14)) >>> 0;
}
