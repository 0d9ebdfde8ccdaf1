// Pays, or tries again after a decline. The try is recorded before the provider is asked, so that a crash is made good by the runner.
import { setTimeout as pause } from 'node:timers/promises';
import type { Caller } from '@millrace/chassis/api/auth';
import type { Database, Tx } from '@millrace/chassis/database/db';
import { backoff } from '@millrace/chassis/flow/backoff';
import type { Log } from '@millrace/chassis/telemetry/log';
import type { Advance } from './advance-payment.ts';
import { type Payment, isFinal } from './payment.ts';
import { isTheirs } from './read-payments.ts';
import { settle } from './settle.ts';
import { claimOrder, readAccounts } from './store.ts';

/** A caller waits no longer than this for the provider; then the answer is PROCESSING. */
const MAX_WAIT_MS = 12_000;
/** What is left of the caller's time for our own reads and writes. */
const MARGIN_MS = 500;
/** An order that isn't known after this long is none. */
const MAX_NEWS_MS = 1_500;
/** How often to look when somebody else is working on the payment: at first, and at most. */
const POLL = { baseMs: 40, maxMs: 500 };

/** A buyer who places an order and pays at once may be faster than the news of the order. */
export async function awaitPayment(db: Database, orderId: string, caller: Caller): Promise<void> {
  const until = Date.now() + MAX_NEWS_MS;
  for (let look = 1; Date.now() < until; look += 1) {
    const account = (await readAccounts(db, [orderId])).get(orderId);
    // Somebody else's is waited for like one that isn't there: time tells, too.
    if (account && isTheirs(caller, account.payment)) return;
    await pause(backoff(look, POLL));
  }
}

/** Throws IllegalTransitionError unless the payment can be tried now. */
export async function recordAttempt(tx: Tx, orderId: string, paymentMethod: string): Promise<void> {
  await settle(tx, [{ orderId, facts: [{ kind: 'attempt', paymentMethod }] }], () => {});
}

/** Works on the payment until its latest try is answered, or the time is up. What is still under way then goes on by itself. */
export async function awaitAnswer(db: Database, orderId: string, advance: Advance, log: Log, timeMs: number): Promise<void> {
  const until = Date.now() + Math.min(MAX_WAIT_MS, timeMs - MARGIN_MS);
  for (let look = 1; ; look += 1) {
    const claimed = await claimOrder(db, orderId);
    if (claimed) {
      const over = new AbortController();
      const advancing = advance(claimed).catch((error: unknown) => log.warn({ err: error, order_id: orderId }, 'a payment was not advanced, its lease will run out'));
      await Promise.race([advancing, pause(Math.max(0, until - Date.now()), undefined, { signal: over.signal }).catch(() => {})]);
      over.abort();
    }
    const payment = (await readAccounts(db, [orderId])).get(orderId)?.payment;
    if (!payment || isAnswered(payment) || Date.now() >= until) return;
    await pause(backoff(look, POLL));
  }
}

const isAnswered = ({ state, answered, attempts }: Payment): boolean => isFinal(state) || answered >= attempts;
