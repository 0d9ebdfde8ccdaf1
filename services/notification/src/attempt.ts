// What mails and text messages have in common when they are due: may it go, what does it say, what does the outcome mean.

import { backoff } from '@millrace/chassis/flow/backoff';
import { type Fact, LAG_AFTER_ANSWER_MS, LAG_WITHOUT_ANSWER_MS, LOOK_UP_SOON_MS, type Outcome, SEND_WITHIN_MS, verdict, withoutAddresses } from './notification.ts';
import type { Due } from './store.ts';
import type { Letter } from './templates/render.ts';

/** First pause after a refusal; they double, up to a day in all. */
const RETRY_BASE_MS = 2_000;
const RETRY_MAX_MS = 24 * 3_600_000;
/** A message whose customer is not known yet is looked at again after its own age, so that old ones cost little. */
const WAIT_MIN_MS = 500;
const WAIT_MAX_MS = 3_600_000;

/** Undefined when the message may go to the provider now; else what becomes of it instead. */
export function withheld(due: Due): Fact | undefined {
  const decision = verdict(due);
  switch (decision.type) {
    case 'send':
      return undefined;
    case 'wait':
      return { type: 'waiting', attempt: due.attempt, pauseMs: Math.min(Math.max(due.ageMs, WAIT_MIN_MS), WAIT_MAX_MS) };
    case 'suppressed':
    case 'failed':
      return { type: decision.type, attempt: due.attempt, error: decision.error };
    default:
      return decision satisfies never;
  }
}

export function isLate(due: Due): boolean {
  return performance.now() - due.claimedAt > SEND_WITHIN_MS;
}

export function notSent(due: Due): Fact {
  return { type: 'not_sent', attempt: due.attempt, pauseMs: 0 };
}

/** Providers quote addresses; from here on they are gone. */
export function factOf(outcome: Outcome, due: Due): Fact {
  if (outcome.type === 'sent') return outcome;
  const common = { attempt: due.attempt, error: withoutAddresses(outcome.error) };
  switch (outcome.type) {
    case 'failed':
    case 'suppressed':
      return { type: outcome.type, ...common };
    case 'delayed':
      return { type: 'delayed', ...common, pauseMs: Math.max(outcome.pauseMs ?? 0, retryPause(due)) };
    case 'unknown':
      return { type: 'unknown', ...common, pauseMs: LOOK_UP_SOON_MS, lagMs: outcome.answered ? LAG_AFTER_ANSWER_MS : LAG_WITHOUT_ANSWER_MS };
    default:
      return outcome satisfies never;
  }
}

/** A template that fails on one order's data is our defect: the message waits for the repair like for a provider. */
export function unwritable(error: unknown, due: Due): Fact {
  return { type: 'delayed', attempt: due.attempt, error: withoutAddresses(`could not be written: ${(error as Error).message}`), pauseMs: retryPause(due) };
}

export function retryPause(due: Due): number {
  return backoff(due.attempt, { baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS });
}

export function letterOf(due: Due): Letter {
  return { kind: due.kind, locale: due.locale, orderId: due.orderId, details: due.details, customer: due.customer, ...(due.order ? { order: due.order } : {}) };
}
