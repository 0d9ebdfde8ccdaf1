// Payment's rows, workers, webhooks and reconciler around its pure decisions. Mirrors its store: who claims what, and when it is due.
import type { Fact } from '../../services/payment/src/facts.ts';
import type { Account, Opening } from '../../services/payment/src/payment.ts';
import type { Change } from '../../services/payment/src/save.ts';
import type { Item } from '../../services/payment/src/settle.ts';
import type { Held } from '../../services/payment/src/store.ts';
import type { Told } from '../../services/payment/src/apply.ts';
import type { Hook, Provider } from './provider.ts';
import { earliest, type Go, HOUR, isRefusal, MINUTE, NEVER, type SimEvent, type Stage } from './stage.ts';

/** `stamp` changes with every write of the row. */
type Row = { account: Account; nextAttempt: number | null; leaseUntil: number; stamp: number; updated: number };

const LEASE_MS = 20_000;
const MAX_STEPS = 6;
/** A process that stood still for this long is dead: its connections are. */
export const STALE_MS = HOUR;

export type PaymentService = ReturnType<typeof createPayment>;

export function createPayment(stage: Stage, provider: Provider, openingOf: (orderId: string) => Opening) {
  const { rules } = stage;
  const rows = new Map<string, Row>();
  const webhooksSeen = new Set<string>();

  function lock(orderId: string): Account | undefined {
    const row = rows.get(orderId);
    return row && { ...row.account, overdue: row.account.payment.dueTime.getTime() <= stage.now, quietMs: stage.now - row.updated };
  }

  /** On the row as its holder has read it, where nobody has written it since; else on the row as it stands. */
  function settle(item: Item): Held & { goOn: boolean } | undefined {
    const row = rows.get(item.orderId);
    if (row === undefined) return undefined;
    const held = item.holder?.held.stamp === String(row.stamp) || !rules.house.stamps ? item.holder?.held : undefined;
    const { change, account, goOn } = rules.payment.settle(held?.account ?? (lock(item.orderId) as Account), item, held?.stamp);
    if (change) save(row, change);
    return { account, stamp: String(row.stamp), goOn };
  }

  function save(row: Row, { account, lease, dueMs, atLatest, told, changed }: Change): void {
    const { dueTime, state } = account.payment;
    const due = dueTime.getTime();
    const times = dueMs === null ? [] : [stage.now + dueMs, ...(atLatest && row.nextAttempt !== null ? [row.nextAttempt] : []), ...(due > stage.now && state !== 'SUCCEEDED' && state !== 'CANCELLED' ? [due] : [])];
    row.account = account;
    row.leaseUntil = lease === 'extended' ? stage.now + LEASE_MS : lease === 'released' ? 0 : row.leaseUntil;
    row.nextAttempt = times.length === 0 ? null : Math.min(...times);
    row.stamp += 1;
    if (changed) row.updated = stage.now;
    tell(told);
  }

  function tell(told: Told[]): void {
    for (const one of told) stage.say('payment', { type: 'payment', orderId: one.payment.orderId, told: one });
  }

  function insert(orderId: string, { account, told }: { account: Account; told: Told[] }): boolean {
    if (rows.has(orderId)) return false;
    const due = rules.payment.dueIn(account, true);
    rows.set(orderId, { account, nextAttempt: due === null ? null : stage.now + due, leaseUntil: 0, stamp: 1, updated: stage.now });
    tell(told);
    return true;
  }

  function hear(event: SimEvent): void {
    switch (event.type) {
      case 'placed': {
        const order = openingOf(event.orderId);
        if (!insert(event.orderId, rules.payment.open(order))) settle({ orderId: event.orderId, facts: [{ kind: 'placed', order }] });
        return;
      }
      case 'cancelled': {
        const cancelled: Fact = { kind: 'order_cancelled' };
        if (settle({ orderId: event.orderId, facts: [cancelled] })) return;
        const order = { ...openingOf(event.orderId), paymentMethod: '', dueTime: stage.date };
        insert(event.orderId, rules.payment.apply(rules.payment.open(order).account, cancelled));
        return;
      }
      case 'refund_requested': {
        const { orderId, refundId, amount } = event;
        if (!settle({ orderId, facts: [{ kind: 'refund_requested', refundId, amount, reason: '' }] })) throw new Error(`order ${orderId} has no payment`);
        return;
      }
      default:
    }
  }

  const isDue = (row: Row): boolean => row.nextAttempt !== null && row.nextAttempt <= stage.now && row.leaseUntil <= stage.now;

  /** A worker takes a payment that is due, and goes on with it step by step. */
  function work(pick: number): boolean {
    if (rows.size === 0) return false;
    const due = [...rows].filter(([, row]) => isDue(row));
    const [orderId, row] = due[pick % due.length] ?? [];
    if (orderId === undefined || row === undefined) return false;
    const claimed = lock(orderId) as Account;
    row.leaseUntil = stage.now + LEASE_MS;
    row.account = { ...row.account, payment: { ...row.account.payment, asking: true } };
    row.stamp += 1;
    const { name, go } = ask({ account: claimed, stamp: String(row.stamp) }, 1);
    stage.begin('payment', name, go);
    return true;
  }

  function ask(held: Held, steps: number): { name: string; go: Go } {
    const { account } = held;
    const { orderId } = account.payment;
    const step = rules.payment.nextStep(account);
    return {
      name: `${step.do} ${orderId}`,
      go(accident) {
        const { tries } = account.payment;
        const facts = provider.perform(step, account, accident).map((fact) => (fact.kind === 'postponed' ? { ...fact, pauseMs: Math.max(fact.pauseMs, Math.min(MINUTE, 1_000 * 2 ** tries)) } : fact));
        return {
          name: `settle ${orderId} after ${step.do}: ${facts.map((fact) => (fact.kind === 'intent' ? fact.status : fact.kind)).join(', ')}`,
          go() {
            const settled = settle({ orderId, facts, holder: { held, step: rules.payment.idempotencyKey(step, account.payment) } });
            return settled?.goOn && steps < MAX_STEPS ? ask(settled, steps + 1) : undefined;
          },
        };
      },
    };
  }

  return {
    hear, work,
    row: (orderId: string) => rows.get(orderId)?.account,
    /** The next moment at which a worker has something to do. */
    nextDue: () => earliest(rows.values(), ({ nextAttempt, leaseUntil }) => (nextAttempt === null ? NEVER : Math.max(nextAttempt, leaseUntil))),
    pay(orderId: string, paymentMethod: string): void {
      try {
        settle({ orderId, facts: [{ kind: 'attempt', paymentMethod }] });
        stage.note(() => `the buyer of ${orderId} pays with ${paymentMethod}`);
      } catch (error) {
        if (!isRefusal(error)) throw error;
      }
    },
    /** Read and judged first, then taken or only remembered: what is not acknowledged comes again. */
    hearWebhook(hook: Hook): void {
      const { intentId, orderId, fact, type } = hook.news;
      const owner = [...rows].find(([, row]) => row.account.payment.providerPaymentId === intentId)?.[0];
      const known = owner === undefined ? undefined : lock(owner);
      const stale = known !== undefined && !rules.payment.isNews(known, [fact]);
      stage.begin('payment', `take webhook ${hook.id}: ${type} of ${intentId}${stale ? ', no news' : ''}`, () => {
        hook.delivered = true;
        if (rules.house.webhookMemory && webhooksSeen.has(hook.id)) return undefined;
        webhooksSeen.add(hook.id);
        if (!stale) settle({ orderId: [...rows].find(([, row]) => row.account.payment.providerPaymentId === intentId)?.[0] ?? orderId, facts: [fact] });
        return undefined;
      });
    },
    /** Compares the provider's records with ours, and repairs. */
    reconcile(): boolean {
      let found = false;
      for (const record of provider.records()) {
        const intentId = record.kind === 'intent' ? record.id : record.intentId;
        const orderId = [...rows].find(([, row]) => row.account.payment.providerPaymentId === intentId)?.[0] ?? (record.kind === 'intent' ? record.orderId : '');
        const account = lock(orderId);
        const difference = account && rules.payment.differenceOf(account, record);
        if (difference === undefined) continue;
        found = true;
        stage.note(() => `the reconciler finds ${difference.kind} of ${intentId}: ${difference.ours || 'nothing'} here, ${difference.theirs} there`);
        if (difference.fits) settle({ orderId, facts: [record] });
        else if (record.kind === 'intent' && record.status !== 'captured' && (difference.kind === 'unknown_intent' || difference.kind === 'state')) provider.cancelStray(record.id);
      }
      return found;
    },
  };
}
