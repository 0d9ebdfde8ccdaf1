// Facts into rows: lock, apply, save, tell, in one transaction for many payments. Workers, webhooks, look-ups, events and
// reconciliation all come through here.
import type { Tx } from '@millrace/chassis/db';
import { appendEvents } from '@millrace/chassis/outbox';
import { type Told, apply } from './apply.ts';
import type { Fact, Mismatch } from './facts.ts';
import { type Account, type Refund, dueIn, idempotencyKey, isFinal, nextStep } from './payment.ts';
import { type Change, lockAccounts, saveAccounts } from './store.ts';
import { outgoing } from './tell.ts';

/** `holder`: whoever brings the facts holds the payment's lease, and this is the key of the step that he took. */
export type Item = { orderId: string; facts: Fact[]; holder?: { step: string } };

/** `goOn`: the holder keeps the lease, because there is more to do at once. */
export type Settled = { before: Account; account: Account; mismatches: Mismatch[]; changed: boolean; goOn: boolean };

/** Answers what became of each item's payment, in order; undefined where there is none. `wake` runs after commit when something is due. */
export async function settle(tx: Tx, items: Item[], wake: () => void): Promise<(Settled | undefined)[]> {
  const groups = new Map<string, Item>();
  for (const { orderId, facts, holder } of items) {
    const group = groups.get(orderId);
    groups.set(orderId, { orderId, facts: [...(group?.facts ?? []), ...facts], holder: group?.holder ?? holder });
  }
  const accounts = await lockAccounts(tx, [...groups.keys()]);
  const settled = new Map<string, Settled>();
  const changes: Change[] = [];
  const told: Told[] = [];
  for (const item of groups.values()) {
    const before = accounts.get(item.orderId);
    if (!before) continue;
    const { change, ...result } = settleOne(before, item);
    settled.set(item.orderId, result);
    told.push(...result.told);
    if (change) changes.push(change);
    if (change?.dueMs === 0 && !result.goOn) tx.afterCommit(wake);
  }
  await saveAccounts(tx, changes);
  await appendEvents(tx, told.map(outgoing));
  return items.map(({ orderId }) => settled.get(orderId));
}

function settleOne(before: Account, { facts, holder }: Item): Settled & { told: Told[]; change?: Change } {
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
  const result = { before, account, mismatches, changed, goOn, told };
  if (!changed && !holder && !lookNow) return result;
  const saved = goOn ? { ...account, payment: { ...account.payment, asking: true } } : account;
  const lease = goOn ? 'extended' : holder ? 'released' : 'untouched';
  return { ...result, change: { account: saved, refunds, changed, dueMs, atLatest: !holder, lease } };
}

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
