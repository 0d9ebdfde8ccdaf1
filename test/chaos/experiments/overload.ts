// A dependency that is away while five times as many buyers come and each tries again and again: what happens when it is back?
import type { Experiment } from '../experiment.ts';
import type { Lengths } from '../form.ts';
import { pause } from '../wait.ts';

const DOWN_MS: Lengths = { brief: 4_000, short: 8_000, full: 60_000 };
const CROWD = 5;
const REPEATS = 4;

export const E37: Experiment = {
  id: 'E37',
  title: `a retry storm: inventory is away, ${CROWD} times the buyers repeat up to ${REPEATS} times`,
  async run({ system, load, skus, perSecond, by, journal }) {
    const before = journal.entries().length;
    system.proxies.inventory.set({ kind: 'reset' });
    load.start({ perSecond: CROWD * perSecond, skus, repeats: REPEATS });
    await pause(by(DOWN_MS));
    // Those who still repeat meet the first orders after the outage.
    load.start({ perSecond, skus });
    const stormed = journal.entries().slice(before).reduce((sum, { repeats = 0 }) => sum + repeats, 0);
    return { count: stormed, what: 'calls repeated in the storm' };
  },
};
