// The payment provider misbehaves: slow, failing, its answers lost, its webhooks repeated, out of order, or never there.
import type { Context, Experiment, Proof } from '../experiment.ts';
import type { Lengths } from '../form.ts';
import type { Random } from '../random.ts';
import { count, ledger } from '../system/databases.ts';
import { pause, until } from '../wait.ts';

const UNDER_FAULT_MS: Lengths = { brief: 2_500, short: 8_000, full: 30_000 };
/** The SDK gives up after ten. */
const SLOWEST_MS: Lengths = { brief: 12_000, short: 30_000, full: 30_000 };
const SOME = 0.3;
/** The provider's SDK asks once more by itself when a connection breaks, and would hide a single loss. */
const LOST_IN_A_ROW = 2;
const COPIES = 5;
const REORDER_MS = 2_000;
/** Without webhooks the poller must find out by itself. */
const POLL_LIMIT_MS = 120_000;

async function faultHits({ system }: Context): Promise<number> {
  const faults = (await system.control('faults')) as unknown as { hits: number }[];
  return faults.reduce((sum, { hits }) => sum + hits, 0);
}

async function underFault(context: Context): Promise<void> {
  await pause(context.by(UNDER_FAULT_MS));
}

export const E12: Experiment = {
  id: 'E12',
  title: 'a slow provider with a heavy tail (0.1 to 30 s)',
  async run(context) {
    const { system, by } = context;
    await system.control('faults', { provider: 'stripe', effect: 'delay', delay_ms: 100 });
    await system.control('faults', { provider: 'stripe', effect: 'delay', delay_ms: 3_000, probability: 0.2 });
    await system.control('faults', { provider: 'stripe', effect: 'delay', delay_ms: 12_000, probability: 0.1 });
    await system.control('faults', { provider: 'stripe', effect: 'delay', delay_ms: by(SLOWEST_MS), probability: 0.03 });
    const since = Date.now();
    await underFault(context);
    const slow = context.journal.entries().filter(({ request, sent_at, outcome }) => request.do === 'place' && Date.parse(sent_at) > since && outcome === 'unknown').length;
    if (slow > 0) throw new Error(`${slow} orders were not taken because the provider is slow`);
    return { count: await faultHits(context), what: 'slow answers' };
  },
};

export const E13: Experiment = {
  id: 'E13',
  title: 'the provider answers 500, 503, 429 and 409 to 30 %',
  async run(context) {
    for (const status of [500, 503, 429, 409]) await context.system.control('faults', { provider: 'stripe', effect: 'error', status, probability: SOME / 4 });
    await underFault(context);
    return { count: await faultHits(context), what: 'errors' };
  },
};

export const E14: Experiment = {
  id: 'E14',
  title: 'the answer to a successful charge or refund is lost on the wire',
  // A refund in part can be given twice where a charge can't.
  mix: { refunded: 0.3 },
  async run(context): Promise<Proof> {
    const { system, random } = context;
    const { stripe } = system.proxies;
    const before = stripe.hits();
    stripe.set({ kind: 'lost_reply', loses: losesSome(/^POST \/v1\/(payment_intents|refunds)/, random) });
    await underFault(context);
    return { count: stripe.hits() - before, what: 'answers lost after a 200' };
  },
};

/** Picks some of the calls by their idempotency keys; each of those loses its answer twice. */
function losesSome(pattern: RegExp, random: Random): (head: string) => boolean {
  const left = new Map<string, number>();
  return (head) => {
    if (!pattern.test(head)) return false;
    const key = /^idempotency-key: (\S+)/im.exec(head)?.[1] ?? '';
    const lost = left.get(key) ?? (random.chance(SOME) ? LOST_IN_A_ROW : 0);
    left.set(key, Math.max(0, lost - 1));
    return lost > 0;
  };
}

async function webhookCount({ system }: Context, name: string): Promise<number> {
  return ((await system.control('webhooks'))['counts'] as Record<string, number>)[name] ?? 0;
}

export const E17: Experiment = {
  id: 'E17',
  title: `every webhook ${COPIES} times, at once`,
  async run(context) {
    const before = await webhookCount(context, 'duplicated');
    await context.system.control('webhooks', { mode: 'duplicate', copies: COPIES });
    await underFault(context);
    return { count: (await webhookCount(context, 'duplicated')) - before, what: 'repeated webhooks' };
  },
};

export const E18: Experiment = {
  id: 'E18',
  title: 'webhooks in reverse',
  async run(context) {
    const before = await webhookCount(context, 'delivered');
    await context.system.control('webhooks', { mode: 'reorder', delay_ms: REORDER_MS });
    await underFault(context);
    await pause(2 * REORDER_MS);
    return { count: (await webhookCount(context, 'delivered')) - before, what: 'webhooks in reverse' };
  },
};

export const E19: Experiment = {
  id: 'E19',
  title: 'no webhook ever arrives, and answers are lost as well',
  mix: { refunded: 0.3 },
  async run(context) {
    const { system, random, journal } = context;
    const before = await webhookCount(context, 'dropped');
    await system.control('webhooks', { mode: 'drop' });
    system.proxies.stripe.set({ kind: 'lost_reply', loses: losesSome(/^POST \/v1\/(payment_intents|refunds)/, random) });
    await underFault(context);
    system.proxies.stripe.set({ kind: 'none' });
    const dropped = (await webhookCount(context, 'dropped')) - before;
    // Still without webhooks: what the provider has captured must come to be known here.
    await until('the poller finds every capture', POLL_LIMIT_MS, async () => {
      const mine = new Set(journal.entries().map(({ order_id }) => order_id));
      const captured = new Set((await ledger(system, 'stripe')).filter(({ type, order_id }) => type === 'captured' && mine.has(order_id)).map(({ order_id }) => order_id));
      const known = await count(system, 'payment', 'payment WHERE captured > 0 AND order_id = ANY($1)', [[...captured]]);
      return captured.size > 0 && known === captured.size;
    });
    return { count: dropped, what: 'webhooks that never came' };
  },
};
