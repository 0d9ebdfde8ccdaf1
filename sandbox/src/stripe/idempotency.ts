// Stripe's idempotency (docs.stripe.com/api/idempotent_requests): the first outcome of a key is repeated for 24 hours, failures and
// 500s included; other parameters are an error; so is a second request while the first still runs. A request that was
// refused before its work began leaves no trace.
import { hash } from 'node:crypto';
import type { KeyRecord } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { StripeRefusal, withDocs } from './errors.ts';

const MAX_KEY = 255;

export interface Attempted {
  key: string;
  endpoint: string;
  print: string;
}

export function identify(key: string, endpoint: string, body: string): Attempted {
  if (key.length > MAX_KEY) {
    throw new StripeRefusal(400, { type: 'invalid_request_error', message: `Idempotency-Key is too long: it may have up to ${MAX_KEY} characters.` });
  }
  // The order of the parameters does not matter.
  return { key, endpoint, print: hash('sha1', body.split('&').sort().join('&'), 'base64') };
}

/** The journal line of the first outcome, when there is one. */
export function recall(store: Store, attempted: Attempted, now: number) {
  const line = store.findKey(attempted.key, now);
  if (!line?.key) return undefined;
  refuseOther(line.key, attempted);
  return { line, key: line.key };
}

export function inUse(key: string): StripeRefusal {
  return new StripeRefusal(409, withDocs({
    type: 'idempotency_error',
    code: 'idempotency_key_in_use',
    message: `There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): ${key}. Please try again later.`,
  }));
}

/** Of the answers that faults bring about, only an endpoint's own 500 is remembered; a gateway's or a limiter's is not. */
export const isRemembered = (status: number) => status === 500;

function refuseOther(first: KeyRecord, now: Attempted): void {
  if (first.endpoint !== now.endpoint) {
    throw reused(`Keys for idempotent requests can only be used for the same endpoint they were first used for ('${now.endpoint}' vs '${first.endpoint}'). Try using a key other than '${now.key}' if you meant to execute a different request.`);
  }
  if (first.print !== now.print) {
    throw reused(`Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${now.key}' if you meant to execute a different request.`);
  }
}

const reused = (message: string) => new StripeRefusal(400, { type: 'idempotency_error', message });
