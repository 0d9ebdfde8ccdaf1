// Every check is shown a sound case and, for each way to break it, one that it must catch.
import { describe, expect, test } from 'vitest';
import { type Letter, type Versions, eventsOf, judgeHeard, judgeLetter, judgeVersions, streamOf } from './events.ts';
import { KINDS, buyerWasTold, judgeMessage } from './messages.ts';
import { booksAgree, moneyIsRight, paidIsServed } from './money.ts';
import type { OrderFacts, OrderRow, PaymentRow, Scope } from './order-facts.ts';
import { judgeRequest, orderPath, paymentPath, readJournalLine, stockPath } from './orders.ts';
import { judge } from './read-orders.ts';
import { createTally, rowsOf } from './report.ts';
import { type SkuFacts, judgeSku, stockFollowsOrder } from './stock.ts';

const ORDER: OrderRow = { state: 'CONFIRMED', paymentStatus: 'SUCCEEDED', captured: 500, refunded: 0, disputed: false, currency: 'EUR', total: 500, stockCommitted: true, moving: false, phone: false };
const PAYMENT: PaymentRow = { state: 'SUCCEEDED', amount: 500, currency: 'EUR', captured: 500, refunded: 0, refundPending: 0, disputed: false, intent: 'pi_1', moving: false, asked: 0 };
const CAPTURE = { type: 'captured', amount: 500, currency: 'eur', intent: 'pi_1', moving: false };
const REFUND = { ...CAPTURE, type: 'refunded' };
const TOLD = (...kinds: string[]) => ({ kinds: KINDS.reduce((bits, kind, bit) => (kinds.includes(kind) ? bits | (1 << bit) : bits), 0), moving: false });
const SOUND: OrderFacts = { orderId: 'ord_1', order: ORDER, payment: PAYMENT, reservation: { state: 'COMMITTED', moving: false }, messages: TOLD('order_confirmation/email', 'payment_confirmation/email'), ledger: [CAPTURE] };
const ALL: Scope = { have: new Set(['order', 'payment', 'inventory', 'notification', 'provider']), whole: true };

type Check = (facts: OrderFacts, scope: Scope, problem: (text: string) => void) => void;
function problems(check: Check, facts: OrderFacts, scope = ALL): string[] {
  const found: string[] = [];
  check(facts, scope, (problem) => void found.push(problem));
  return found;
}
const order = (changes: Partial<OrderRow>): OrderFacts => ({ ...SOUND, order: { ...ORDER, ...changes } });
const payment = (changes: Partial<PaymentRow>): OrderFacts => ({ ...SOUND, payment: { ...PAYMENT, ...changes } });
const money: Check = (facts, _scope, problem) => moneyIsRight(facts, problem);

describe('the money of an order', () => {
  const cancelled: OrderFacts = { ...SOUND, order: { ...ORDER, state: 'CANCELLED', refunded: 500 }, payment: { ...PAYMENT, refunded: 500, asked: 500 }, ledger: [CAPTURE, REFUND] };
  test.each([['paid', SOUND], ['cancelled and refunded', cancelled]])('is sound when %s', (_title, facts) => {
    for (const check of [money, booksAgree, paidIsServed]) expect(problems(check, facts)).toEqual([]);
  });

  test.each<[string, Check, OrderFacts, string]>([
    ['charged twice', money, { ...SOUND, ledger: [CAPTURE, { ...CAPTURE, intent: 'pi_2' }] }, 'charged 2 times'],
    ['charged another amount', money, { ...SOUND, ledger: [{ ...CAPTURE, amount: 499 }] }, 'charged 499'],
    ['charged in another currency', money, { ...SOUND, ledger: [{ ...CAPTURE, currency: 'usd' }] }, 'captured in USD'],
    ['given back more than charged', money, { ...SOUND, ledger: [CAPTURE, { ...REFUND, amount: 501 }] }, 'given back 501'],
    ['given back without being asked', money, { ...SOUND, ledger: [CAPTURE, { ...REFUND, amount: 100 }] }, 'asked for were 0'],
    ['an order without a payment', booksAgree, { ...SOUND, payment: undefined }, 'no payment'],
    ['a payment without an order', booksAgree, { ...SOUND, order: undefined }, 'no order'],
    ['a charge for nobody', booksAgree, { ...SOUND, order: undefined, payment: undefined }, 'does not exist'],
    ['two amounts', booksAgree, payment({ amount: 400 }), 'the payment is of 400 EUR'],
    ['a charge the order has not heard of', booksAgree, order({ captured: 0 }), 'the order says 0'],
    ['a charge the provider has not made', booksAgree, { ...SOUND, ledger: [] }, 'the provider 0'],
    ['a refund the payment does not know', booksAgree, { ...SOUND, ledger: [CAPTURE, REFUND] }, 'the provider 500'],
    ['a refund the order has not heard of', booksAgree, payment({ refunded: 100 }), 'the order says 0, the payment 100'],
    ['a dispute the order has not heard of', booksAgree, payment({ disputed: true }), 'disputed'],
    ['a charge by a strange intent', booksAgree, payment({ intent: 'pi_9' }), 'pi_1'],
    ['an end the order has not heard of', booksAgree, order({ paymentStatus: 'PROCESSING' }), 'PROCESSING'],
    ['paid and not confirmed', paidIsServed, order({ state: 'PENDING_PAYMENT' }), 'not confirmed'],
    ['paid, cancelled, not refunded', paidIsServed, order({ state: 'CANCELLED' }), 'not given back'],
    ['confirmed and not paid', paidIsServed, { ...SOUND, ledger: [] }, 'only 0 of 500'],
  ])('is not when %s', (_title, check, facts, words) => {
    expect(problems(check, facts).join()).toContain(words);
  });

  test('is not judged by what is away', () => {
    const have = new Set(ALL.have);
    have.delete('payment');
    expect(problems(booksAgree, { ...SOUND, payment: undefined }, { have, whole: true })).toEqual([]);
  });
});

describe('the stock of an order', () => {
  test.each<[string, OrderFacts, string]>([
    ['a hold outlives its order', { ...order({ state: 'CANCELLED' }), reservation: { state: 'HELD', moving: false } }, 'stuck'],
    ['a cancelled sale is not put back', order({ state: 'CANCELLED' }), 'not put back'],
    ['a sale was never booked', { ...SOUND, reservation: { state: 'RELEASED', moving: false } }, 'RELEASED'],
    ['nothing was ever held', { ...SOUND, reservation: undefined }, 'without a reservation'],
    ['it was sold to nobody', { ...SOUND, order: undefined }, 'does not exist'],
  ])('is wrong when %s', (_title, facts, words) => {
    expect(problems(stockFollowsOrder, SOUND)).toEqual([]);
    expect(problems(stockFollowsOrder, facts).join()).toContain(words);
  });
});

describe('the books of a sku', () => {
  const sound: SkuFacts = { sku: 'mug', level: { onHand: 6, reserved: 2 }, ledger: { onHand: 6, reserved: 2, received: 10, sold: 4 }, held: 2, ordered: 4 };
  test.each<[string, Partial<SkuFacts>, string[]]>([
    ['nothing', {}, []],
    ['more sold than received', { ledger: { onHand: 6, reserved: 2, received: 5, sold: 4 } }, ['I1']],
    ['more ordered than received', { ordered: 11 }, ['I1']],
    ['less than nothing available', { level: { onHand: 1, reserved: 2 }, ledger: { onHand: 1, reserved: 2, received: 10, sold: 4 } }, ['I1']],
    ['goods from nowhere', { level: { onHand: 7, reserved: 2 } }, ['I2']],
    ['a reserved unit that no hold has', { held: 1 }, ['I2']],
    ['a lost level', { level: undefined }, ['I2', 'I2', 'I2', 'I2']],
  ])('show %s', (_title, changes, invariants) => {
    expect(judgeSku({ ...sound, ...changes }).map(({ invariant }) => invariant)).toEqual(invariants);
  });
});

describe('messages', () => {
  test.each<[string, OrderFacts, string]>([
    ['the confirmation', { ...SOUND, messages: undefined }, 'order_confirmation/email, payment_confirmation/email'],
    ['the cancellation', order({ state: 'CANCELLED' }), 'order_cancelled/email'],
    ['the shipment, by text too', order({ state: 'FULFILLED', phone: true }), 'payment_confirmation/sms, order_fulfilled/email, order_fulfilled/sms'],
    ['the refund', payment({ refunded: 1 }), 'refund/email'],
  ])('are missed: %s', (_title, facts, words) => {
    expect(problems(buyerWasTold, SOUND)).toEqual([]);
    expect(problems(buyerWasTold, facts).join()).toContain(words);
  });

  const sent = { rows: 1, sent: 1, doubtful: 0, delivered: 1 as number | undefined, moving: false, forAdmins: false };
  test.each<[string, Partial<typeof sent>, number]>([
    ['one for one', {}, 0], ['mailed twice', { delivered: 2 }, 1], ['mailed by nobody', { rows: 0, sent: 0 }, 1], ['never mailed', { delivered: 0 }, 1], ['queued twice', { rows: 2, sent: 2, delivered: 2 }, 1],
    ['for two admins', { forAdmins: true, rows: 2, sent: 2, delivered: 2 }, 0], ['in doubt', { sent: 0, doubtful: 1 }, 0], ['on their way', { delivered: 0, moving: true }, 0], ['without a ledger', { delivered: undefined }, 0],
  ])('and the provider: %s', (_title, changes, found) => {
    expect(judgeMessage({ ...sent, ...changes })).toHaveLength(found);
  });
});

describe('requests', () => {
  const acked = { requestId: 'r', ok: true, orderIds: ['ord_1'] };
  test.each<[string, typeof acked, string[], string[]]>([
    ['acknowledged and there', acked, ['ord_1'], []],
    ['acknowledged and lost', acked, [], ['I5']],
    ['acknowledged and another', acked, ['ord_2'], ['I5']],
    ['acknowledged without an id and lost', { ...acked, orderIds: [] }, [], ['I5']],
    ['unknown and none', { requestId: 'r', ok: false, orderIds: [] }, [], []],
    ['unknown and one', { requestId: 'r', ok: false, orderIds: [] }, ['ord_1'], []],
    ['unknown and two', { requestId: 'r', ok: false, orderIds: [] }, ['ord_1', 'ord_2'], ['I6']],
    ['answered two ways', { ...acked, orderIds: ['ord_1', 'ord_2'] }, ['ord_1', 'ord_2'], ['I6', 'I6']],
  ])('%s', (_title, request, orders, invariants) => {
    expect(judgeRequest(request, orders).map(({ invariant }) => invariant)).toEqual(invariants);
  });

  test('are read from journal lines, and other lines are none', () => {
    expect(readJournalLine('{"request_id":"r","sent_at":"t","outcome":"ok","order_id":"ord_1"}')).toEqual({ requestId: 'r', outcome: 'ok', orderId: 'ord_1' });
    for (const line of ['', '{"request_id":"r","outco', '{"request_id":1,"outcome":"ok"}', '{"request_id":"r","outcome":"maybe"}', 'null']) expect(readJournalLine(line)).toBeUndefined();
  });
});

describe('steps', () => {
  const illegal = /no legal step|it is|is not|no timeline|without|captured/;
  test.each([['PENDING_PAYMENT CONFIRMED CONFIRMED FULFILLED', 'FULFILLED'], ['PENDING_PAYMENT CANCELLED', 'CANCELLED'], ['PENDING_PAYMENT', 'PENDING_PAYMENT']])('an order may go %s', (path, state) => {
    expect(orderPath(path.split(' '), state, true)).toBeUndefined();
  });
  test.each([['PENDING_PAYMENT FULFILLED', 'FULFILLED'], ['PENDING_PAYMENT CANCELLED CONFIRMED', 'CONFIRMED'], ['CONFIRMED', 'CONFIRMED'], ['PENDING_PAYMENT CONFIRMED', 'FULFILLED'], ['', 'CONFIRMED']])('an order may not go %s to be %s', (path, state) => {
    expect(orderPath(path.split(' ').filter(Boolean), state, true)).toMatch(illegal);
  });
  test.each([['failed succeeded refunded', 'SUCCEEDED'], ['cancelled succeeded refunded', 'SUCCEEDED'], ['', 'PENDING'], ['action_required cancelled', 'CANCELLED']])('a payment may go "%s"', (path, state) => {
    expect(paymentPath(path.split(' ').filter(Boolean), state, true)).toBeUndefined();
  });
  test.each([['succeeded succeeded', 'SUCCEEDED'], ['succeeded failed', 'SUCCEEDED'], ['refunded', 'SUCCEEDED'], ['cancelled failed', 'CANCELLED'], ['failed', 'SUCCEEDED'], ['succeeded', 'PENDING']])('a payment may not go "%s" to be %s', (path, state) => {
    expect(paymentPath(path.split(' '), state, true)).toMatch(illegal);
  });
  test('a path whose beginning is gone is judged from where it is known', () => {
    expect([paymentPath(['refunded'], 'SUCCEEDED', false), paymentPath([], 'SUCCEEDED', false)]).toEqual([undefined, undefined]);
  });
  test.each([['HELD', 1, 0, 'HELD'], ['HELD COMMITTED', 0, 1, 'COMMITTED'], ['HELD RELEASED COMMITTED RESTOCKED RESTOCKED', 0, 0, 'RESTOCKED'], ['HELD RELEASED', 0, 0, 'RELEASED']])('stock may go %s', (path, held, sold, state) => {
    expect(stockPath(path.split(' '), { held, sold }, state)).toBeUndefined();
  });
  test.each([['HELD HELD', 1, 0, 'HELD'], ['HELD COMMITTED COMMITTED', 0, 1, 'COMMITTED'], ['RESTOCKED', 0, 0, 'RESTOCKED'], ['HELD RELEASED RESTOCKED', 0, 0, 'RELEASED'], ['HELD', 1, 0, 'RELEASED'], ['HELD COMMITTED', 0, 1, 'RESTOCKED'], ['HELD COMMITTED', 0, 1, '']])('stock may not go %s leaving %d and %d to be %s', (path, held, sold, state) => {
    expect(stockPath(path.split(' '), { held, sold }, state)).toMatch(/no legal step|leave|without/);
  });
});

describe('versions', () => {
  const sound: Versions = { back: 0, gaps: 0, first: 2, last: 4, current: 4, whole: true };
  test.each<[string, Partial<Versions>, RegExp]>([
    ['said out of order', { back: 1 }, /order/], ['with a gap', { gaps: 1 }, /1 gap/], ['beyond the row', { current: 3 }, /it has 3/], ['behind the row', { current: 5 }, /last one said is 4/],
    ['without a beginning', { first: 3 }, /3 is the first/], ['of nothing', { current: undefined }, /not there/], ['never said', { first: undefined, last: undefined }, /none/],
  ])('%s are found', (_title, changes, words) => {
    expect(judgeVersions(sound, 'every', 2)).toBeUndefined();
    expect(judgeVersions({ ...sound, ...changes }, 'every', 2)).toMatch(words);
  });
  test('may leave some out where silent changes count, and begin late where the outbox was cleaned', () => {
    expect(judgeVersions({ ...sound, gaps: 2, current: 9 }, 'rising', 1)).toBeUndefined();
    expect(judgeVersions({ ...sound, whole: false, first: 3 }, 'every', 2)).toBeUndefined();
    expect(judgeVersions({ ...sound, whole: false, first: undefined, last: undefined }, 'every', 2)).toBeUndefined();
  });
});

test.each<[number[], number, RegExp | undefined]>([
  [[2], 2, undefined], [[2, 3, 3], 3, undefined], [[], 1, undefined], [[], 2, /none/], [[2], 3, /has 1 of them, the last one 2/], [[2, 4], 4, /2 of them/], [[2, 3], 2, /the last one 3/],
])('an order that has heard of versions %j and stands at %d', (heard, version, problem) => {
  const said = judgeHeard(heard, version);
  if (problem) expect(said).toMatch(problem);
  else expect(said).toBeUndefined();
});

test.each<[Partial<Letter>, RegExp | undefined]>([
  [{}, undefined], [{ handled: true }, /was handled/], [{ headers: false }, /replayed/], [{ state: 'replayed' }, /never handled/], [{ state: 'replayed', handled: true }, /nobody/],
  [{ state: 'replayed', handled: true, resolvedBy: 'ann' }, undefined], [{ state: 'discarded', resolvedBy: 'ann' }, /reason/], [{ state: 'discarded', resolvedBy: 'ann', note: 'old' }, undefined],
])('a dead letter %j', (changes, problem) => {
  const said = judgeLetter({ id: '1', state: 'open', handled: false, eventId: 'e', headers: true, resolvedBy: '', note: '', ...changes });
  if (problem) expect(said).toMatch(problem);
  else expect(said).toBeUndefined();
});

test('the contract says who must hear what', () => {
  expect(eventsOf('order')).toContainEqual({ type: 'millrace.order.v1.OrderCancelled', subject: 'orders.cancelled', hearers: ['payment', 'inventory', 'notification'] });
  expect([streamOf('order'), streamOf('notification')]).toEqual(['ORDERS', 'NOTIFICATIONS']);
});

describe('an order', () => {
  const judged = (facts: OrderFacts, scope = ALL) => {
    const tally = createTally();
    judge(facts, scope, tally);
    return rowsOf(tally, new Map());
  };
  test('that is sound is counted everywhere and found nowhere', () => {
    const rows = judged(SOUND);
    expect(rows.filter((row) => row.checked === 1).map((row) => row.invariant)).toEqual(['I1', 'I3', 'I4', 'I8', 'I9']);
    expect(rows.some((row) => row.violations > 0)).toBe(false);
  });
  test('in motion is not judged, nor is what belongs to an order before the window', () => {
    expect(judged({ ...SOUND, ledger: [{ ...CAPTURE, amount: 1, moving: true }] }).every((row) => row.checked === 0)).toBe(true);
    expect(judged({ ...SOUND, order: undefined }, { ...ALL, whole: false }).every((row) => row.checked === 0)).toBe(true);
  });
});
