import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Told, apply, open } from './apply.ts';
import type { Fact, IntentFact, RefundFact } from './facts.ts';
import { type Account, IllegalTransitionError, nextStep, openAccount } from './payment.ts';

const ORDER = { orderId: 'ord_1', customerId: 'buyer', amount: 1_000n, currency: 'EUR', paymentMethod: 'pm_card_visa', dueTime: new Date(0) };
const intent = (status: IntentFact['status'], more: Partial<IntentFact> = {}): IntentFact => ({
  kind: 'intent', id: 'pi_1', clientSecret: 'secret', status, orderId: 'ord_1', amount: 1_000n, currency: 'EUR', captured: status === 'captured' ? 1_000n : 0n, actionUrl: '', ...more,
});
const refund = (state: RefundFact['state'], more: Partial<RefundFact> = {}): RefundFact => ({
  kind: 'refund', id: 're_1', intentId: 'pi_1', refundId: 'r1', amount: 300n, currency: 'EUR', state, reason: '', failureMessage: '', ...more,
});
const declined = intent('open', { failure: { code: 'card_declined', message: 'no' } });

function after(...facts: Fact[]): { account: Account; told: Told[]; mismatches: string[] } {
  let account = openAccount(ORDER);
  const told: Told[] = [];
  const mismatches: string[] = [];
  for (const fact of facts) {
    const applied = apply(account, fact);
    account = applied.account;
    told.push(...applied.told);
    if (applied.mismatch) mismatches.push(applied.mismatch.kind);
  }
  return { account, told, mismatches };
}
const kinds = ({ told }: { told: Told[] }) => told.map(({ kind }) => kind);

describe('a try to pay', () => {
  test('that is declined leaves the payment open for another one', () => {
    const failed = after({ ...declined, attempt: 1 });
    expect(failed.account.payment).toMatchObject({ state: 'FAILED', failureCode: 'card_declined', attempts: 1, answered: 1 });
    const again = apply(failed.account, { kind: 'attempt', paymentMethod: 'pm_2' }).account;
    expect(again.payment).toMatchObject({ state: 'PROCESSING', paymentMethod: 'pm_2', attempts: 2, answered: 1, failureCode: '' });
  });
  test('is not failed by news of the try before it', () => {
    const second = after({ ...declined, attempt: 1 }, { kind: 'attempt', paymentMethod: 'pm_2' }, declined, { ...declined, attempt: 1 });
    expect(second.account.payment).toMatchObject({ state: 'PROCESSING', answered: 1 });
  });
  test('is refused while another one runs, after capture, cancellation and the due time', () => {
    const attempt: Fact = { kind: 'attempt', paymentMethod: 'pm_2' };
    for (const facts of [[], [intent('captured')], [{ ...declined, attempt: 1 }, { kind: 'order_cancelled' } as const]]) {
      const { account } = after(...facts);
      expect(() => apply(account, attempt)).toThrow(IllegalTransitionError);
    }
    expect(() => apply({ ...after({ ...declined, attempt: 1 }).account, overdue: true }, attempt)).toThrow(IllegalTransitionError);
  });
  test('that comes while an intent may be on its way is not paid by one call under another key', () => {
    const opened = open({ ...ORDER, paymentMethod: '' }).account;
    const tried = apply(opened, { kind: 'attempt', paymentMethod: 'pm_2' }).account;
    expect(nextStep(opened).do).toBe('create');
    expect(nextStep(tried).do).toBe('create');
  });
  test('that asks for the buyer says so once', () => {
    const action = intent('action', { actionUrl: 'https://bank.example/1', attempt: 1 });
    expect(kinds(after(action, action, intent('captured')))).toEqual(['action_required', 'succeeded']);
  });
});

describe('a record that does not fit', () => {
  test.each([
    ['another amount', intent('captured', { captured: 1n }), 'amount'],
    ['another currency', intent('captured', { currency: 'USD' }), 'currency'],
    ['another order', intent('captured', { orderId: 'ord_2' }), 'unknown_intent'],
    ['another intent', intent('captured', { id: 'pi_2' }), 'unknown_intent'],
    ['a refund of another amount', refund('SUCCEEDED', { amount: 301n }), 'refund'],
    ['a refund of more than was paid', refund('SUCCEEDED', { refundId: '', amount: 1_001n }), 'refund'],
    ['a refund of another intent', refund('SUCCEEDED', { intentId: 'pi_2' }), 'unknown_intent'],
  ])('%s: is reported and changes nothing', (_name, fact, kind) => {
    const before = after(intent('open'), { kind: 'refund_requested', refundId: 'r1', amount: 300n, reason: '' });
    const { account, told, mismatch } = apply(before.account, fact);
    expect(mismatch?.kind).toBe(kind);
    expect(account).toBe(before.account);
    expect(told).toEqual([]);
  });
});

describe('refunds', () => {
  const paid = [intent('captured'), { kind: 'refund_requested', refundId: 'r1', amount: 300n, reason: '' }] as Fact[];
  test('made at the provider by hand are seen', () => {
    const { account } = after(intent('captured'), refund('SUCCEEDED', { refundId: '', id: 're_hand' }));
    expect(account.payment.refunded).toBe(300n);
    expect(account.refunds).toMatchObject([{ refundId: 're_hand', providerRefundId: 're_hand', state: 'SUCCEEDED' }]);
  });
  test('that the provider refuses for good are no longer awaited, and the others are told', () => {
    const { account, told } = after(...paid, { kind: 'refund_refused', refundId: 'r1', message: 'disputed' });
    expect(account.refunds).toMatchObject([{ state: 'FAILED', failureMessage: 'disputed' }]);
    expect(told.at(-1)).toMatchObject({ kind: 'refunded', refund: { id: 'r1', amount: 0n }, payment: { refundPending: 0n, refunded: 0n } });
  });
  test('of a cancelled order are asked for again when the provider refuses or loses them', () => {
    const late = { refundId: 'refund_late_pay_1', amount: 1_000n };
    const refused = after({ kind: 'order_cancelled' }, intent('captured'), { kind: 'refund_refused', refundId: late.refundId, message: 'no' });
    expect(refused.account.refunds).toMatchObject([{ ...late, state: 'PENDING', failureMessage: 'no' }]);
    const lost = after({ kind: 'order_cancelled' }, intent('captured'), refund('FAILED', late));
    expect(lost.account.refunds).toMatchObject([{ state: 'FAILED' }, { refundId: 'refund_late_pay_1_2', amount: 1_000n, state: 'PENDING' }]);
  });
  test('asked for beyond what is left never reach the provider', () => {
    const { account } = after(...paid, refund('SUCCEEDED', { refundId: '', id: 're_hand', amount: 900n }));
    expect(account.refunds).toMatchObject([{ refundId: 'r1', state: 'FAILED', providerRefundId: '' }, { state: 'SUCCEEDED' }]);
    expect(account.payment.refundPending).toBe(0n);
  });
});

/** Everything that must not depend on the order of arrival. */
const outcome = ({ account: { payment } }: { account: Account }) => {
  const { state, captured, refunded, refundPending, disputed, orderCancelled, intentOpen } = payment;
  return { state, captured, refunded, refundPending, disputed, orderCancelled, intentOpen };
};
const CANCELLED: Fact = { kind: 'order_cancelled' };
const FACTS: Fact[] = [
  intent('captured'), intent('open'), { ...declined, attempt: 1 }, intent('processing'), intent('action', { attempt: 1, actionUrl: 'https://bank.example' }),
  CANCELLED, { kind: 'look_up' }, { kind: 'not_found', generation: 0 },
  { kind: 'refund_requested', refundId: 'r1', amount: 300n, reason: '' }, refund('PENDING'), refund('SUCCEEDED'),
  refund('SUCCEEDED', { id: 're_hand', refundId: '', amount: 200n }),
  { kind: 'dispute', id: 'dp_1', intentId: 'pi_1', reason: 'fraudulent', closed: false }, { kind: 'dispute', id: 'dp_1', intentId: 'pi_1', reason: 'fraudulent', closed: true },
];
const shuffled = (facts: Fact[]) => fc.tuple(fc.shuffledSubarray(facts, { minLength: facts.length }), fc.array(fc.constantFrom(...facts), { maxLength: 6 })).map(([all, more]) => [...all, ...more]);

describe('in any order, any number of times', () => {
  test('the same facts of a captured payment end the same', () => {
    const subsets = fc.subarray(FACTS.slice(1)).map((some) => [intent('captured'), ...some]);
    fc.assert(fc.property(subsets.chain((facts) => fc.tuple(shuffled(facts), shuffled(facts))), ([one, other]) => {
      expect(outcome(after(...one))).toEqual(outcome(after(...other)));
    }), { numRuns: 2_000 });
  });
  test('the same facts of a payment that the provider cancelled end the same', () => {
    const subsets = fc.subarray(FACTS.slice(1, 8)).map((some) => [intent('canceled'), intent('open'), ...some]);
    fc.assert(fc.property(subsets.chain((facts) => fc.tuple(shuffled(facts), shuffled(facts))), ([one, other]) => {
      expect(after(...one).account.payment.state).toBe('CANCELLED');
      expect(outcome(after(...one)).state).toBe(outcome(after(...other)).state);
    }), { numRuns: 500 });
  });
  test('money captured for a cancelled order is given back or on its way', () => {
    const subsets = fc.subarray(FACTS).map((some) => [intent('captured'), CANCELLED, ...some]);
    fc.assert(fc.property(subsets.chain(shuffled), (facts) => {
      const { payment } = after(...facts).account;
      expect(payment.refunded + payment.refundPending).toBe(1_000n);
    }), { numRuns: 2_000 });
  });
  test('versions go up by one with every event, and there is at most one capture', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom(...FACTS), { maxLength: 30 }), (facts) => {
      const { account, told } = after(...facts);
      expect(told.map(({ payment }) => payment.version)).toEqual(told.map((_, i) => i + 2));
      expect(account.payment.version).toBe(told.length + 1);
      expect(kinds({ told }).filter((kind) => kind === 'succeeded').length).toBeLessThanOrEqual(1);
      expect(account.payment.refunded).toBeLessThanOrEqual(account.payment.captured);
    }), { numRuns: 2_000 });
  });
});
