// Facts into rows: apply, save, tell, many payments together. Workers, webhooks, look-ups, events and reconciliation all come through here.
import type { Database, Queryable, Tx } from '@millrace/chassis/database/db';
import { type Told, apply } from './apply.ts';
import type { Fact, Mismatch } from './facts.ts';
import { type Account, type Refund, dueIn, idempotencyKey, isFinal, nextStep } from './payment.ts';
import { type Change, saveAccounts } from './save.ts';
import { type Held, lockAccounts } from './store.ts';

/** `holder`: whoever brings the facts holds the payment's lease; what he has read of it, and the key of the step that he took. */
export type Item = { orderId: string; facts: Fact[]; holder?: { held: Held; step: string } };

/** `goOn`: the holder keeps the lease, because there is more to do at once. `stamp`: of the row as it was saved; empty when there was nothing to save. */
export type Settled = { before: Account; account: Account; stamp: string; mismatches: Mismatch[]; changed: boolean; goOn: boolean };

/** Locks, decides, saves; answers what became of each item's payment, in order, undefined where there is none. `wake` runs after commit when something is due. */
export async function settle(tx: Tx, items: Item[], wake: () => void): Promise<(Settled | undefined)[]> {
  if (items.length === 0) return [];
  const groups = grouped(items);
  const accounts = await lockAccounts(tx, groups.map(({ orderId }) => orderId));
  const decisions = groups.flatMap((item) => {
    const before = accounts.get(item.orderId);
    return before ? [decide(before, item)] : [];
  });
  const settled = await save(tx, decisions);
  if (decisions.some(tells)) tx.writesEvents();
  if (decisions.some(isDue)) tx.afterCommit(wake);
  return items.map(({ orderId }) => settled.get(orderId));
}

/**
 * The same for who holds the leases, in one statement and without a lock: decided on what he has read, and saved where nobody has changed
 * the row since. Where somebody has (a webhook, a cancellation), it is settled anew on the row as it stands.
 */
export async function settleHeld(db: Database, items: Item[], wake: () => void): Promise<(Settled | undefined)[]> {
  const decisions = grouped(items).flatMap((item) => (item.holder ? [decide(item.holder.held.account, item, item.holder.held.stamp)] : []));
  const settled = await save(db, decisions);
  if (decisions.some(tells)) db.wroteEvents();
  if (decisions.some(isDue)) wake();
  const overtaken = items.filter(({ orderId }) => !settled.has(orderId));
  if (overtaken.length > 0) {
    const anew = await db.transaction((tx) => settle(tx, overtaken, wake));
    for (const result of anew) if (result) settled.set(result.account.payment.orderId, result);
  }
  return items.map(({ orderId }) => settled.get(orderId));
}

/** Whether facts would change a payment, or don't fit it. */
export function isNews(account: Account, facts: Fact[]): boolean {
  const { change, mismatches } = decide(account, { orderId: account.payment.orderId, facts });
  return change !== undefined || mismatches.length > 0;
}

/** All facts about a payment in one item. */
function grouped(items: Item[]): Item[] {
  const groups = new Map<string, Item>();
  for (const item of items) {
    const group = groups.get(item.orderId);
    groups.set(item.orderId, group ? { ...item, ...group, facts: [...group.facts, ...item.facts] } : item);
  }
  return [...groups.values()];
}

/** Answers what was saved or needed no saving; not what somebody else has changed meanwhile. */
async function save(db: Queryable, decisions: Decision[]): Promise<Map<string, Settled>> {
  const stamps = await saveAccounts(db, decisions.flatMap(({ change }) => change ?? []));
  const settled = new Map<string, Settled>();
  for (const { change, ...result } of decisions) {
    const { orderId } = result.account.payment;
    const stamp = stamps.get(orderId);
    if (stamp !== undefined || !change) settled.set(orderId, { ...result, stamp: stamp ?? '' });
  }
  return settled;
}

const tells = ({ change }: Decision): boolean => change !== undefined && change.told.length > 0;
const isDue = ({ change, goOn }: Decision): boolean => change?.dueMs === 0 && !goOn;

type Decision = Omit<Settled, 'stamp'> & { change?: Change };

/** What facts make of one payment, and when it is looked at again. Pure. `stamp`: of the row that it is decided on, when nobody has locked it. */
export function decide(before: Account, item: Item, stamp: string | null = null): Decision {
  const { holder } = item;
  const facts = item.facts.map((fact) => (isOutdated(fact, before) ? LOOK_AGAIN : fact));
  let account = holder ? { ...before, payment: { ...before.payment, asking: false } } : before;
  const told: Told[] = [];
  const mismatches: Mismatch[] = [];
  for (const fact of facts) {
    const applied = apply(account, fact);
    account = applied.account;
    told.push(...applied.told);
    if (applied.mismatch) mismatches.push(applied.mismatch);
  }
  const refunds = changedRefunds(before, account);
  const changed = refunds.length > 0 || paymentChanged(before, account);
  const postponed = facts.find((fact) => fact.kind === 'postponed');
  // The same step again would be a step on the spot: it waits.
  const progressed = holder ? idempotencyKey(nextStep(account), account.payment) !== holder.step : changed;
  const tries = !postponed && (progressed || changed) ? 0 : account.payment.tries + (holder ? 1 : 0);
  account = { ...account, payment: { ...account.payment, tries, asking: holder ? postponed?.unknown === true : before.payment.asking } };

  const lookNow = !isFinal(account.payment.state) && facts.some((fact) => fact.kind === 'look_up');
  const dueMs = lookNow ? 0 : (postponed?.pauseMs ?? dueIn(account, progressed));
  // Nobody will come back to look: what the webhook told was the answer.
  if (dueMs === null) account = { ...account, payment: { ...account.payment, asking: false } };
  const goOn = holder !== undefined && !postponed && !lookNow && dueMs === 0;
  const result = { before, account, mismatches, changed, goOn };
  if (!changed && !holder && !lookNow) return result;
  const saved = goOn ? { ...account, payment: { ...account.payment, asking: true } } : account;
  const lease = goOn ? 'extended' : holder ? 'released' : 'untouched';
  return { ...result, change: { account: saved, refunds, told, changed, dueMs, atLatest: !holder, lease, stamp } };
}

/** A search is judged by the keys that are good then. If another worker has spent one since, it says nothing. */
const isOutdated = (fact: Fact, { payment }: Account): boolean => fact.kind === 'not_found' && fact.generation !== payment.generation;
const LOOK_AGAIN: Fact = { kind: 'postponed', unknown: true, burnt: false, pauseMs: 0 };

/** Whether anything but the bookkeeping of tries differs. */
function paymentChanged({ payment: before }: Account, { payment: after }: Account): boolean {
  return (Object.keys(after) as (keyof typeof after)[]).some((key) => key !== 'tries' && key !== 'asking' && after[key] !== before[key]);
}

function changedRefunds(before: Account, after: Account): Refund[] {
  return after.refunds.filter((refund, i) => {
    const old = before.refunds[i];
    return !old || old.state !== refund.state || old.providerRefundId !== refund.providerRefundId || old.failureMessage !== refund.failureMessage;
  });
}
