// Many want the same: a flash sale, baskets in opposite orders, holds that nobody pays for.
import type { Entry } from '../buyers/journal.ts';
import type { Broken, Context, Experiment } from '../experiment.ts';
import type { Lengths } from '../form.ts';
import { count, query } from '../system/databases.ts';
import { until } from '../wait.ts';

const FLASH_STOCK = 100;
const BUYERS: Lengths = { brief: 200, short: 400, full: 5_000 };
/** How many of the crowd stand at the counter together. */
const AT_ONCE = 64;
const BASKETS: Lengths = { brief: 30, short: 60, full: 400 };
const HOARDERS: Lengths = { brief: 30, short: 30, full: 200 };
const WINDOW_S = 8;
const GRACE_S = 2;
const EXPIRY_LIMIT_MS = 60_000;

export const SHORT_WINDOW = { ORDER_PAYMENT_WINDOW: `${WINDOW_S}s`, ORDER_HOLD_GRACE: `${GRACE_S}s` };

async function crowd<T>(work: (() => Promise<T>)[], atOnce: number): Promise<T[]> {
  const results: T[] = [];
  const queue = work.values();
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (const one of queue) results.push(await one());
  }));
  return results;
}

const unitsSold = (entries: Entry[], sku: string): number => entries.filter(({ outcome }) => outcome === 'ok').reduce((sum, { request }) => sum + (request.do === 'place' ? request.lines.filter((line) => line.sku === sku).reduce((n, line) => n + line.quantity, 0) : 0), 0);

export const E27: Experiment = {
  id: 'E27',
  title: 'a flash sale, then baskets in opposite orders',
  perSecond: 0,
  stock: FLASH_STOCK,
  async run({ load, skus, random, by, say }) {
    const [hot = '', ...others] = skus;
    const began = performance.now();
    const entries = await crowd(Array.from({ length: by(BUYERS) }, () => async () => load.place({ lines: [{ sku: hot, quantity: 1 }], paymentMethod: 'pm_card_visa' })), AT_ONCE);
    say(`sold out to ${entries.length} buyers after ${((performance.now() - began) / 1_000).toFixed(1)} s`);
    await crowd(Array.from({ length: by(BASKETS) }, (_, i) => async () => {
      const lines = (random.chance(0.5) ? others : others.toReversed()).map((sku) => ({ sku, quantity: 1 + (i % 2) }));
      return load.place({ lines, paymentMethod: 'pm_card_visa' });
    }), AT_ONCE);
    return { count: entries.filter(({ error }) => error?.includes('OUT_OF_STOCK')).length, what: 'buyers who came too late' };
  },
  async check({ journal, skus, system }): Promise<Broken[]> {
    const entries = journal.entries();
    const broken: Broken[] = [];
    const sold = unitsSold(entries, skus[0] ?? '');
    if (sold !== FLASH_STOCK) broken.push({ invariant: 'I1', what: skus[0] ?? '', problem: `${sold} units of ${FLASH_STOCK} were sold` });
    for (const { request_id, error } of entries.filter(({ outcome, error: text }) => outcome !== 'ok' && !text?.includes('OUT_OF_STOCK'))) {
      broken.push({ invariant: 'I16', what: request_id, problem: `neither sold nor sold out: ${error}` });
    }
    const levels = await query<{ sku: string; on_hand: number }>(system, 'inventory', 'SELECT sku, on_hand FROM stock WHERE sku = ANY($1)', [skus]);
    for (const { sku, on_hand } of levels) {
      const left = FLASH_STOCK - unitsSold(entries, sku);
      if (on_hand !== left) broken.push({ invariant: 'I1', what: sku, problem: `${on_hand} are left, not ${left}` });
    }
    return broken;
  },
};

export const E28: Experiment = {
  id: 'E28',
  title: 'holds that nobody pays for',
  env: SHORT_WINDOW,
  perSecond: 0,
  stock: FLASH_STOCK,
  async run({ load, skus, by, system }) {
    const hoarded = await crowd(Array.from({ length: by(HOARDERS) }, (_, i) => async () => load.place({ lines: [{ sku: skus[i % skus.length] ?? '', quantity: 3 }], paymentMethod: '' })), 16);
    const held = await count(system, 'inventory', "reservation WHERE state = 'HELD' AND order_id = ANY($1)", [hoarded.map(({ order_id }) => order_id)]);
    await until('the holds end', EXPIRY_LIMIT_MS, async () => (await stillHeld(system, skus)) === 0);
    return { count: held, what: 'units held and never paid for' };
  },
  async check({ system, skus }) {
    const levels = await query<{ sku: string; on_hand: number; reserved: number }>(system, 'inventory', 'SELECT sku, on_hand, reserved FROM stock WHERE sku = ANY($1)', [skus]);
    return levels.filter(({ on_hand, reserved }) => on_hand !== FLASH_STOCK || reserved !== 0).map(({ sku, on_hand, reserved }) => ({ invariant: 'I1', what: sku, problem: `${on_hand} on hand and ${reserved} held after all holds ended` }));
  },
};

async function stillHeld(system: Context['system'], skus: readonly string[]): Promise<number> {
  const [row] = await query<{ n: number }>(system, 'inventory', 'SELECT sum(reserved)::int AS n FROM stock WHERE sku = ANY($1)', [skus]);
  return row?.n ?? 0;
}
