// Moves one payment on: takes its next step at the provider and settles what comes of it, until there is nothing to do at once.
import { crashPoint } from '@millrace/chassis/crash-point';
import { backoff } from '@millrace/chassis/flow/backoff';
import type { Log } from '@millrace/chassis/telemetry/log';
import type { Fact } from './facts.ts';
import { type Account, idempotencyKey, nextStep } from './payment.ts';
import type { Item, Settled } from './settle.ts';
import type { Held } from './store.ts';
import type { Provider } from './stripe.ts';

/** Steps for one lease; a payment's longest way (find, create, confirm, cancel, refund) is shorter. */
const MAX_STEPS = 6;
/** The longest pause after a call that has to be made again. */
const MAX_PAUSE_MS = 60_000;

/** A provider that stumbles is no news; one that goes on stumbling is. */
const QUIET_TRIES = 3;

export type Advance = (claimed: Held) => Promise<void>;

/** For payments whose lease the caller holds. A crash anywhere leaves `asking` set, and whoever claims next looks first. */
export function createAdvance(provider: Provider, settle: (item: Item) => Promise<Settled | undefined>, log: Log): Advance {
  return async (claimed) => {
    let held = claimed;
    crashPoint('claimed');
    for (let i = 0; i < MAX_STEPS; i += 1) {
      const { account } = held;
      const step = nextStep(account);
      const facts = (await provider.perform(step, account)).map((fact) => paced(fact, account));
      crashPoint(`${step.do}.answered`);
      const { orderId, tries } = account.payment;
      if (facts.some((fact) => fact.kind === 'postponed')) log[tries < QUIET_TRIES ? 'debug' : 'warn']({ order_id: orderId, step: step.do, tries, facts: describe(facts) }, 'a call to the provider has to be made again');
      const settled = await settle({ orderId, facts, holder: { held, step: idempotencyKey(step, account.payment) } });
      crashPoint(`${step.do}.settled`);
      for (const mismatch of settled?.mismatches ?? []) log.error({ order_id: orderId, ...mismatch }, 'a record of the provider does not fit our payment; it was not applied');
      if (!settled?.goOn) return;
      // The lease marks the row as being asked about; what is known of it is not in doubt.
      held = { account: settled.account, stamp: settled.stamp };
    }
  };
}

function paced(fact: Fact, { payment }: Account): Fact {
  if (fact.kind !== 'postponed') return fact;
  return { ...fact, pauseMs: Math.max(fact.pauseMs, backoff(payment.tries + 1, { maxMs: MAX_PAUSE_MS })) };
}

const describe = (facts: Fact[]): unknown[] => facts.map((fact) => (fact.kind === 'postponed' ? fact : fact.kind));
