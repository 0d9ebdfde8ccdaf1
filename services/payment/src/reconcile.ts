// Compares the provider's records with ours. What differs goes through the same facts as its webhooks; what doesn't fit is for a person.
import type { Database } from '@millrace/chassis/database/db';
import { createLoop, type Loop } from '@millrace/chassis/flow/loop';
import type { Log } from '@millrace/chassis/telemetry/log';
import { apply } from './apply.ts';
import type { IntentFact, Mismatch } from './facts.ts';
import { type Account, isFinal } from './payment.ts';
import { settle } from './settle.ts';
import { forgetWebhooks, intentsSince, ordersOfIntents, readAccounts } from './store.ts';
import type { Provider, ProviderRecord } from './stripe.ts';

export type Discrepancy = { orderId: string; providerPaymentId: string; kind: 'state' | 'refund' | 'dispute' | Mismatch['kind']; ours: string; theirs: string; repaired: boolean };
export type Report = { checked: number; repaired: number; unresolved: number; discrepancies: Discrepancy[] };
export type Reconcile = (options: { since: Date; dryRun: boolean; withinMs: number }) => Promise<Report>;

/** Records of each kind in one run, newest first; at a hundred a page that is a hundred calls. */
const MAX_RECORDS = 10_000;
const CHUNK = 100;
/** Payments of ours without a record of theirs that are asked about in one run. */
const MAX_MISSING = 100;
const MAX_REPORTED = 500;
/** A round that takes longer goes on in the next one. */
const LOOP_LIMIT_MS = 45_000;
/** Longer than the time that buyers get to pay by default, so that a late success of an old intent is seen. */
const LOOK_BACK_MS = 3_600_000;

export function createReconcile(db: Database, provider: Provider, log: Log, wake: () => void): Reconcile {
  return async ({ since, dryRun, withinMs }) => {
    const until = Date.now() + withinMs;
    const report: Report = { checked: 0, repaired: 0, unresolved: 0, discrepancies: [] };
    const book = (found: Discrepancy[]) => {
      for (const one of found) report[one.repaired ? 'repaired' : 'unresolved'] += 1;
      report.discrepancies.push(...found.slice(0, MAX_REPORTED - report.discrepancies.length));
    };
    const seen = new Set<string>();
    let chunk: ProviderRecord[] = [];
    let over = false;
    for await (const record of provider.recordsSince(since, MAX_RECORDS)) {
      if ((over = Date.now() > until)) break;
      report.checked += 1;
      if (record.kind === 'intent') seen.add(record.id);
      chunk.push(record);
      if (chunk.length >= CHUNK) book(await compare(chunk.splice(0), dryRun));
    }
    book(await compare(chunk, dryRun));
    if (over || seen.size >= MAX_RECORDS) log.warn({ checked: report.checked }, 'the provider has more records than one reconciliation takes; the oldest were left out');
    else book(await missing(since, seen));
    return report;
  };

  /** Ours that the provider doesn't list: a lost account, a wrong key, records wiped. Nothing to repair, but somebody must know. */
  async function missing(since: Date, seen: Set<string>): Promise<Discrepancy[]> {
    const found: Discrepancy[] = [];
    const unlisted = (await intentsSince(db, since, MAX_RECORDS)).filter((row) => !seen.has(row.provider_payment_id));
    for (const { order_id: orderId, provider_payment_id: ours } of unlisted.slice(0, MAX_MISSING)) {
      if (!(await provider.knows(ours))) found.push({ orderId, providerPaymentId: ours, kind: 'unknown_intent', ours, theirs: '', repaired: false });
    }
    return found;
  }

  async function compare(records: ProviderRecord[], dryRun: boolean): Promise<Discrepancy[]> {
    const orders = await ordersOfIntents(db, records.map(intentOf));
    const orderOf = (record: ProviderRecord) => orders.get(intentOf(record)) ?? (record.kind === 'intent' ? record.orderId : '');
    const accounts = await readAccounts(db, [...new Set(records.map(orderOf))]);
    const found: Discrepancy[] = [];
    for (const record of records) {
      const orderId = orderOf(record);
      const account = accounts.get(orderId);
      const difference = account ? differenceOf(account, record) : foreign(record);
      if (difference) found.push({ orderId, providerPaymentId: intentOf(record), ...difference, repaired: !dryRun && (await repair(record, orderId, difference)) });
    }
    return found;
  }

  async function repair(record: ProviderRecord, orderId: string, { fits, kind }: Difference): Promise<boolean> {
    if (fits) {
      const settled = await db.transaction((tx) => settle(tx, [{ orderId, facts: [record] }], wake));
      return settled[0]?.mismatches.length === 0;
    }
    // An intent for an order of ours that we never used, or have given up: nobody shall be able to pay it.
    const stray = orderId !== '' && record.kind === 'intent' && record.status !== 'captured' && (kind === 'unknown_intent' || kind === 'state');
    return stray && (await provider.cancelStray(record.id)).status === 'canceled';
  }
}

/** Every interval what was created lately is compared: a webhook that never arrives settles all the same. */
export function reconcileLoop(reconcile: Reconcile, db: Database, log: Log, intervalMs: number): Loop {
  return createLoop({
    name: 'reconcile', log, pollMs: intervalMs,
    async round() {
      const { discrepancies, ...counts } = await reconcile({ since: new Date(Date.now() - LOOK_BACK_MS), dryRun: false, withinMs: LOOP_LIMIT_MS });
      if (counts.repaired > 0) log.info(counts, 'payments were repaired from the provider\'s records');
      const unresolved = discrepancies.filter(({ repaired }) => !repaired);
      if (unresolved.length > 0) log.error({ ...counts, discrepancies: unresolved.slice(0, 20) }, 'the provider\'s records differ from ours: a person has to look');
      await forgetWebhooks(db);
      return 0;
    },
  });
}

/** `fits`: the record can be applied to our row. */
type Difference = Pick<Discrepancy, 'kind' | 'ours' | 'theirs'> & { fits: boolean };

/** What differs, as far as the worker that may be at it right now can't be expected to settle it. */
export function differenceOf(account: Account, record: ProviderRecord): Difference | undefined {
  const { payment } = account;
  const { mismatch, account: after } = apply(account, record);
  if (mismatch) {
    if (record.kind === 'intent' && record.status === 'canceled' && mismatch.kind === 'unknown_intent') return undefined;
    return { ...mismatch, fits: false };
  }
  if (payment.asking) return undefined;
  if (record.kind !== 'intent') {
    const [ours, theirs] = [describe(account, record), describe(after, record)];
    return ours === theirs ? undefined : { kind: record.kind, ours, theirs, fits: true };
  }
  if (record.status === 'captured' || record.status === 'canceled') {
    return after.payment.state === payment.state ? undefined : { kind: 'state', ours: payment.state, theirs: record.status, fits: true };
  }
  // Ours is over and theirs is not. Our row is the younger of the two, unless the intent was opened again or never closed.
  if (!isFinal(payment.state) || payment.intentOpen) return undefined;
  return { kind: 'state', ours: payment.state, theirs: record.status, fits: false };
}

function describe({ payment, refunds }: Account, record: Exclude<ProviderRecord, IntentFact>): string {
  if (record.kind === 'dispute') return payment.disputeId === record.id ? (payment.disputed ? 'open' : 'closed') : '';
  return refunds.find(({ providerRefundId }) => providerRefundId === record.id)?.state ?? '';
}

/** The provider's account may serve others than us, but an open or captured intent that nobody knows deserves a look. */
function foreign(record: ProviderRecord): Difference | undefined {
  if (record.kind === 'intent') return record.status === 'canceled' ? undefined : { kind: 'unknown_intent', ours: '', theirs: record.status, fits: false };
  return { kind: record.kind, ours: '', theirs: record.id, fits: false };
}

const intentOf = (record: ProviderRecord): string => (record.kind === 'intent' ? record.id : record.intentId);
