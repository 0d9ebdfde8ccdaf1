// Chance that depends on the seed alone: the same seed plans the same accidents. What the machine makes of them differs.
import { createHash } from 'node:crypto';

export type Random = {
  /** In [0, 1). */
  next(): number;
  between(least: number, most: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  shuffled<T>(items: readonly T[]): T[];
};

export function seeded(seed: string): Random {
  let i = 0;
  const next = (): number => createHash('sha256').update(`${seed} ${i++}`).digest().readUInt32BE() / 2 ** 32;
  return {
    next,
    between: (least, most) => least + next() * (most - least),
    chance: (probability) => next() < probability,
    pick: (items) => items[Math.floor(next() * items.length)] as (typeof items)[number],
    shuffled: (items) => items.map((item) => ({ item, at: next() })).toSorted((a, b) => a.at - b.at).map(({ item }) => item),
  };
}
