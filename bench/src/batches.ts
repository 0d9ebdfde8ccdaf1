// How many orders shared a commit, read from the rows, because those of one transaction have one time; and how many events a publication, as
// order's metrics count them.
import { sumAt } from '../../test/support/metrics.ts';
import { rows } from './audit.ts';

export type Batches = { stored: number; held: number; published: number };

/** Means over all rounds of a case; `runs` are the notes of their orders. */
export async function batchesOf(postgres: { order: string; inventory: string }, runs: Record<string, string[]>, said: Record<string, Share[]>): Promise<Record<string, Batches>> {
  const found: Record<string, Batches> = {};
  for (const [name, notes] of Object.entries(runs)) {
    const ids = await rows<{ order_id: string; create_time: Date }>(postgres.order, 'SELECT order_id, create_time FROM orders WHERE note = ANY($1)', [notes]);
    const orderIds = ids.map(({ order_id: id }) => id);
    const [held] = await rows<Share>(postgres.inventory, 'SELECT count(*)::float8 AS all, count(DISTINCT create_time)::float8 AS batches FROM reservation WHERE order_id = ANY($1)', [orderIds]);
    const published = (said[name] ?? []).reduce((sum, { all, batches }) => ({ all: sum.all + all, batches: sum.batches + batches }), { all: 0, batches: 0 });
    found[name] = { stored: ids.length / Math.max(1, new Set(ids.map(({ create_time: time }) => time.getTime())).size), held: mean(held), published: mean(published) };
  }
  return found;
}

/** What order has published meanwhile. */
export async function saidWhile(order: string, work: () => Promise<unknown>): Promise<Share> {
  const before = await saidBy(order);
  await work();
  const after = await saidBy(order);
  return { all: after.all - before.all, batches: after.batches - before.batches };
}

async function saidBy(order: string): Promise<Share> {
  const sum = (name: string) => sumAt(order, name, 'said_by="order"');
  return { all: await sum('millrace_events_published_total'), batches: await sum('millrace_publications_total') };
}

export type Share = { all: number; batches: number };

function mean(share: Share | undefined): number {
  return share === undefined || share.batches === 0 ? 0 : share.all / share.batches;
}
