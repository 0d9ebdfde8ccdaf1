// Names of states, steps and currencies, which are read as the four bytes of Postgres's `hashtext`.
import { hashOf } from './text-hash.ts';

const ORDER = ['PENDING_PAYMENT', 'CONFIRMED', 'FULFILLED', 'CANCELLED'];
const PAYMENT = ['PENDING', 'REQUIRES_ACTION', 'PROCESSING', 'SUCCEEDED', 'FAILED', 'CANCELLED'];
const PAYMENT_EVENTS = ['succeeded', 'failed', 'action_required', 'cancelled', 'refunded', 'disputed'];
const STOCK = ['OPENED', 'ADJUSTED', 'HELD', 'RELEASED', 'COMMITTED', 'RESTOCKED'];
/** What the provider says of money. */
const LEDGER = ['captured', 'refunded', 'declined', 'canceled', 'disputed'];

const KNOWN = new Map(['', ...Intl.supportedValuesOf('currency'), ...LEDGER, ...ORDER, ...PAYMENT, ...PAYMENT_EVENTS, ...STOCK].map((word) => [codeOf(word), word]));

/** A word that we do not know is told by its code, in capitals as currencies are compared. */
export function wordOf(code: number): string {
  return KNOWN.get(code) ?? `?${(code >>> 0).toString(16).toUpperCase()}`;
}

/** As `hashtext` has it: signed. */
export function codeOf(word: string): number {
  return hashOf(word).low | 0;
}
