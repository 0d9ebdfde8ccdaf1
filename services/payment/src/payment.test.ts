import { describe, expect, test } from 'vitest';
import { apply, open } from './apply.ts';
import { type Account, type Payment, IllegalTransitionError, dueIn, idempotencyKey, moved, nextStep, openAccount } from './payment.ts';

const ORDER = { orderId: 'ord_1', customerId: 'buyer', amount: 1_000n, currency: 'EUR', paymentMethod: 'pm_card_visa', dueTime: new Date(0) };

function account(changes: Partial<Payment> = {}, more: Partial<Account> = {}): Account {
  const opened = openAccount(ORDER);
  return { ...opened, ...more, payment: { ...opened.payment, ...changes } };
}

describe('the transition table', () => {
  test('lets a captured payment go nowhere', () => {
    expect(() => moved('SUCCEEDED', 'CANCELLED')).toThrow(IllegalTransitionError);
    expect(() => moved('SUCCEEDED', 'FAILED')).toThrow(IllegalTransitionError);
  });
  test('takes a repeated step as no step', () => {
    expect(moved('SUCCEEDED', 'SUCCEEDED')).toBe('SUCCEEDED');
  });
  test('takes note of money that came after we had given up', () => {
    expect(moved('CANCELLED', 'SUCCEEDED')).toBe('SUCCEEDED');
  });
});

describe('the next step', () => {
  const known = { providerPaymentId: 'pi_1', intentOpen: true };
  test.each([
    ['makes an intent and confirms it for a new payment with a method', account(), 'pay'],
    ['makes an intent for a payment without one', account({ state: 'PENDING', attempts: 0 }), 'create'],
    ['makes an intent without confirming it once a key is burnt', account({ generation: 1 }), 'create'],
    ['looks for an intent whose making is uncertain', account({ asking: true }), 'find'],
    ['makes no intent for a cancelled order', account({ orderCancelled: true }), 'close'],
    ['makes no intent once the time to pay is over', account({}, { overdue: true }), 'close'],
    ['makes no second intent after the provider refused the first for good', account({ state: 'FAILED', answered: 1 }), 'nothing'],
    ['confirms an intent that is stored', account(known), 'confirm'],
    ['looks before it confirms again after an unknown outcome', account({ ...known, asking: true }), 'look_up'],
    ['does not confirm for a cancelled order', account({ ...known, orderCancelled: true }), 'cancel'],
    ['does not confirm once the time to pay is over', account(known, { overdue: true }), 'cancel'],
    ['waits for the buyer by looking', account({ ...known, state: 'REQUIRES_ACTION', answered: 1 }), 'look_up'],
    ['closes an intent learnt of after the payment was cancelled', account({ ...known, state: 'CANCELLED', orderCancelled: true }), 'cancel'],
  ])('%s', (_promise, given, step) => {
    expect(nextStep(given).do).toBe(step);
  });

  test('refunds what is asked back, one at a time', () => {
    const paid = account({ ...known, state: 'SUCCEEDED', captured: 1_000n, answered: 1, intentOpen: false });
    const asked = apply(apply(paid, { kind: 'refund_requested', refundId: 'r1', amount: 300n, reason: '' }).account, { kind: 'refund_requested', refundId: 'r2', amount: 200n, reason: '' });
    expect(nextStep(asked.account)).toMatchObject({ do: 'refund', refund: { refundId: 'r1' } });
    expect(asked.account.payment.refundPending).toBe(500n);
  });
});

describe('the deadline', () => {
  test('is never missing while something is open', () => {
    for (const state of ['PENDING', 'PROCESSING', 'REQUIRES_ACTION', 'FAILED'] as const) expect(dueIn(account({ state }), false)).toBeGreaterThan(0);
    expect(dueIn(account({ state: 'SUCCEEDED', refundPending: 1n }), false)).toBeGreaterThan(0);
    expect(dueIn(account({ state: 'CANCELLED', providerPaymentId: 'pi_1', intentOpen: true, orderCancelled: true }), true)).toBe(0);
  });
  test('is gone when all is said', () => {
    expect(dueIn(account({ state: 'SUCCEEDED' }), true)).toBeNull();
    expect(dueIn(account({ state: 'CANCELLED' }), true)).toBeNull();
  });
  test('of looking grows up to five minutes', () => {
    const waiting = (tries: number) => dueIn(account({ state: 'REQUIRES_ACTION', answered: 1, providerPaymentId: 'pi_1', tries }), false);
    expect([0, 1, 2, 20].map(waiting)).toEqual([5_000, 10_000, 20_000, 300_000]);
  });
  test('of looking at what nobody has tried to pay is far from the first, but not when a call is in doubt', () => {
    const unpaid = { paymentMethod: '', state: 'PENDING', attempts: 0, providerPaymentId: 'pi_1', intentOpen: true } as const;
    expect(dueIn(account(unpaid), true)).toBe(300_000);
    expect(dueIn(account({ ...unpaid, asking: true }), false)).toBe(5_000);
  });
});

describe('an idempotency key', () => {
  test('stays the same for the same step, and is new for a new try of the buyer', () => {
    const first = account({ providerPaymentId: 'pi_1' }).payment;
    expect(idempotencyKey({ do: 'create' }, first)).toBe('create:pay_1');
    expect(idempotencyKey({ do: 'pay' }, first)).toBe('pay:pay_1:1');
    expect(idempotencyKey({ do: 'confirm' }, first)).toBe('confirm:pay_1:1');
    expect(idempotencyKey({ do: 'confirm' }, { ...first, attempts: 2 })).toBe('confirm:pay_1:2');
  });
  test('is replaced when the provider only repeats a stored error of its own', () => {
    const burnt = apply(account(), { kind: 'postponed', unknown: true, burnt: true, pauseMs: 1 }).account.payment;
    expect(idempotencyKey({ do: 'create' }, burnt)).toBe('create:pay_1:1');
  });
});

test('an order without anything to pay is paid when it is placed', () => {
  const { account: paid, told } = open({ ...ORDER, amount: 0n });
  expect(paid.payment.state).toBe('SUCCEEDED');
  expect(told.map(({ kind }) => kind)).toEqual(['succeeded']);
  expect(dueIn(paid, true)).toBeNull();
});
