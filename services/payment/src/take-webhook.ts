// A webhook's effect, together with its id, in one transaction; those that come together are taken together.
import { setTimeout as pause } from 'node:timers/promises';
import { crashPoint } from '@millrace/chassis/crash-point';
import type { Database, Tx } from '@millrace/chassis/database/db';
import { createBatcher } from '@millrace/chassis/flow/batcher';
import type { Log } from '@millrace/chassis/telemetry/log';
import type { Stripe } from 'stripe';
import type { Fact } from './facts.ts';
import { isNews, settle } from './settle.ts';
import { ordersOfIntents, readAccountsOfIntents, rememberWebhooks } from './store.ts';
import { disputeFact, intentFact, refundFact } from './stripe-facts.ts';

/** One lane: two would often wait for each other's payments. A full queue answers 503, and Stripe repeats. */
const BATCHING = { name: 'webhooks', lanes: 1, max: 200, queueLimit: 5_000, paceMs: 100 };

/** Nobody waits for a webhook, and by then the answer of our own call, which mostly says the same, is written: it is a look instead of a change. */
const PATIENCE_MS = 60;

export type News = { id: string; type: string; intentId: string; orderId: string; fact: Fact };

/** What a webhook says about a payment of ours; undefined for all that doesn't concern us. */
export function newsOf(event: Stripe.Event): News | undefined {
  // A connected account's: whatever its metadata say, its money is not ours.
  if (event.account !== undefined) return undefined;
  const news = (intentId: string, orderId: string, fact: Fact): News => ({ id: event.id, type: event.type, intentId, orderId, fact });
  switch (event.type) {
    case 'payment_intent.succeeded':
    case 'payment_intent.canceled': {
      const fact = intentFact(event.data.object);
      return news(fact.id, fact.orderId, fact);
    }
    // They may have been overtaken: only a look tells how it stands.
    case 'payment_intent.payment_failed':
    case 'payment_intent.requires_action':
    case 'payment_intent.processing': return news(event.data.object.id, event.data.object.metadata['order_id'] ?? '', { kind: 'look_up' });
    case 'refund.created':
    case 'refund.updated':
    case 'refund.failed': {
      const fact = refundFact(event.data.object);
      return news(fact.intentId, '', fact);
    }
    case 'charge.dispute.created':
    case 'charge.dispute.updated':
    case 'charge.dispute.closed': {
      const fact = disputeFact(event.data.object);
      return news(fact.intentId, '', fact);
    }
    default: return undefined;
  }
}

/**
 * Resolves when the effect is committed. Most tell what our own call's answer has told before: what would change nothing is only remembered,
 * and the rest is taken under the payments' locks.
 */
export function createTakeWebhook(db: Database, log: Log, wake: () => void): (news: News) => Promise<void> {
  const takeBatched = createBatcher<News, void>(BATCHING, async (batch) => {
    const accounts = await readAccountsOfIntents(db, batch.map(({ intentId }) => intentId));
    const known = new Map(accounts.map((account) => [account.payment.providerPaymentId, account]));
    const [stale, telling]: [News[], News[]] = [[], []];
    for (const news of batch) {
      const account = known.get(news.intentId);
      (account && !isNews(account, [news.fact]) ? stale : telling).push(news);
    }
    if (stale.length > 0) await rememberWebhooks(db, stale);
    if (telling.length > 0) await db.transaction((tx) => take(tx, telling));
    crashPoint('webhook.taken');
    return batch.map(() => undefined);
  });
  return async (news) => {
    await pause(PATIENCE_MS);
    return takeBatched(news);
  };

  async function take(tx: Tx, batch: News[]): Promise<void> {
    const fresh = await rememberWebhooks(tx, batch);
    crashPoint('webhook.remembered');
    // A repeat within the batch: the set gives each id once.
    const news = batch.filter(({ id }) => fresh.delete(id));
    const orders = await ordersOfIntents(tx, news.map(({ intentId }) => intentId));
    const items = news.map(({ intentId, orderId, fact }) => ({ orderId: orders.get(intentId) ?? orderId, facts: [fact] }));
    const settled = await settle(tx, items, wake);
    settled.forEach((result, i) => {
      const about = { webhook: news[i]?.id, type: news[i]?.type, order_id: items[i]?.orderId, intent: news[i]?.intentId };
      if (!result) log.warn(about, 'a webhook about a payment that is not ours; it was ignored');
      for (const mismatch of result?.mismatches ?? []) log.error({ ...about, ...mismatch }, 'a webhook does not fit our payment; it was not applied');
    });
  }
}
