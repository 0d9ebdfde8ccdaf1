import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cancel, fulfill, hear, newOrder, paymentStateOf, refundable, requestRefund, waitOf, type Fact, type Order, type Payment } from './order.ts';

const NOW = new Date('2026-11-23T12:00:00Z');
const DUE = new Date('2026-11-23T12:30:00Z');
const TOTAL = 5_000n;

const unpaid: Payment = { version: 0, state: 'PENDING', captured: 0n, refunded: 0n, refundPending: 0n, disputed: false };
const paid: Payment = { ...unpaid, version: 3, state: 'SUCCEEDED', captured: TOTAL };

function order(change: Partial<Order> = {}): Order {
  const lines = [{ sku: 'mug', name: 'Mug', quantity: 2, unitPrice: 1_500n }, { sku: 'cap', name: 'Cap', quantity: 1, unitPrice: 2_000n }];
  const customer = { customerId: 'ada', name: 'Ada', email: 'ada@example.com', phone: '' };
  const placed = newOrder({ orderId: 'ord_1', customer, lines, currency: 'EUR', total: TOTAL, paymentMethod: 'pm_card_visa', shippingAddress: undefined, note: '', paymentDueTime: DUE }, NOW);
  return { ...placed, ...change };
}

const payment = (snapshot: Partial<Payment>, refundId?: string, given = true): Fact => ({ kind: 'payment', payment: { ...paid, ...snapshot }, refund: refundId ? { refundId, given } : undefined });
const tell = (start: Order, facts: Fact[]): Order => facts.reduce((now, fact) => hear(now, fact, NOW), start);
const confirmed = () => tell(order(), [payment({}), { kind: 'stock_committed' }]);
const reasonOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return (error as { reason: string }).reason;
  }
  return 'nothing thrown';
};

describe('a payment', () => {
  test('of the whole total confirms the order, and the version counts it once', () => {
    const after = hear(order(), payment({}), NOW);
    expect(after).toMatchObject({ state: 'CONFIRMED', paymentState: 'PAID', version: 2 });
    expect(hear(after, payment({}), NOW)).toBe(after);
  });

  test('of less than the total does not', () => {
    expect(hear(order(), payment({ captured: TOTAL - 1n }), NOW).state).toBe('PENDING_PAYMENT');
  });

  test('of an order for nothing confirms it once the payment says that it succeeded', () => {
    const free = order({ total: 0n });
    expect(hear(free, payment({ captured: 0n, state: 'PROCESSING' }), NOW).state).toBe('PENDING_PAYMENT');
    expect(hear(free, payment({ captured: 0n }), NOW)).toMatchObject({ state: 'CONFIRMED', paymentState: 'PAID' });
  });

  test('that was refunded before its success was heard ends as if it came in order', () => {
    const late = tell(order(), [payment({ version: 4, refunded: TOTAL }), payment({ version: 3 })]);
    const inOrder = tell(order(), [payment({ version: 3 }), payment({ version: 4, refunded: TOTAL })]);
    expect(late).toEqual({ ...inOrder, version: late.version });
    expect(late).toMatchObject({ state: 'CONFIRMED', paymentState: 'REFUNDED' });
  });

  test.each<[Partial<Payment>, string]>([
    [{ ...unpaid }, 'UNPAID'],
    [{ ...unpaid, state: 'CANCELLED' }, 'UNPAID'],
    [{ ...unpaid, state: 'PROCESSING' }, 'PROCESSING'],
    [{ ...unpaid, state: 'REQUIRES_ACTION' }, 'ACTION_REQUIRED'],
    [{ ...unpaid, state: 'FAILED' }, 'FAILED'],
    [{}, 'PAID'],
    [{ refundPending: 1n }, 'REFUND_PENDING'],
    [{ refunded: 1n }, 'PARTIALLY_REFUNDED'],
    [{ refunded: 1n, refundPending: 1n }, 'REFUND_PENDING'],
    [{ refunded: TOTAL }, 'REFUNDED'],
    [{ disputed: true }, 'DISPUTED'],
  ])('%o is said as %s', (snapshot, expected) => {
    expect(paymentStateOf(order({ state: 'CONFIRMED', payment: { ...paid, ...snapshot } }))).toBe(expected);
  });

  test('of a cancelled order is on its way back until all of it is given back', () => {
    const gone = cancel(order(), 'EXPIRED', 'not paid in time', NOW);
    const late = hear(gone, payment({}), NOW);
    expect(late).toMatchObject({ state: 'CANCELLED', paymentState: 'REFUND_PENDING', version: 3 });
    expect(hear(late, payment({ version: 4, refunded: TOTAL }), NOW)).toMatchObject({ state: 'CANCELLED', paymentState: 'REFUNDED', version: 4, dueTime: undefined });
  });
});

describe('steps', () => {
  test('cancelling twice is cancelling once', () => {
    const once = cancel(order(), 'BUYER', 'too late', NOW);
    expect(once).toMatchObject({ state: 'CANCELLED', cancelCause: 'BUYER', cancelReason: 'too late', version: 2 });
    expect(cancel(once, 'OPERATOR', 'other', NOW)).toBe(once);
  });

  test('a shipped order can not be cancelled, and says where it stands', () => {
    const shipped = fulfill(confirmed(), 'DHL', '1', NOW);
    expect(reasonOf(() => cancel(shipped, 'BUYER', '', NOW))).toBe('ILLEGAL_TRANSITION');
    expect(() => cancel(shipped, 'BUYER', '', NOW)).toThrow(expect.objectContaining({ metadata: expect.objectContaining({ state: 'ORDER_STATE_FULFILLED' }) as object }));
  });

  test('shipping twice with the same number is shipping once, with another it is refused', () => {
    const shipped = fulfill(confirmed(), 'DHL', '1', NOW);
    expect(fulfill(shipped, 'DHL', '1', NOW)).toBe(shipped);
    expect(reasonOf(() => fulfill(shipped, 'DHL', '2', NOW))).toBe('ILLEGAL_TRANSITION');
  });

  test('shipping waits for the stock to be sold', () => {
    expect(reasonOf(() => fulfill(hear(order(), payment({}), NOW), '', '', NOW))).toBe('STOCK_NOT_COMMITTED');
  });

  test('what is unpaid, cancelled or given back is not shipped', () => {
    expect(reasonOf(() => fulfill(order(), '', '', NOW))).toBe('ILLEGAL_TRANSITION');
    expect(reasonOf(() => fulfill(cancel(confirmed(), 'BUYER', '', NOW), '', '', NOW))).toBe('ILLEGAL_TRANSITION');
    expect(reasonOf(() => fulfill(requestRefund(confirmed(), 'r', { lines: [] }, NOW), '', '', NOW))).toBe('ILLEGAL_TRANSITION');
  });

  test('a shortfall cancels an order that is not over, and nothing else', () => {
    expect(hear(order(), { kind: 'shortfall' }, NOW)).toMatchObject({ state: 'CANCELLED', cancelCause: 'OUT_OF_STOCK' });
    const gone = cancel(order(), 'BUYER', 'mine', NOW);
    expect(hear(gone, { kind: 'shortfall' }, NOW)).toBe(gone);
  });
});

describe('a refund', () => {
  test('without amount and lines is of all that is left', () => {
    const part = requestRefund(confirmed(), 'r1', { amount: 1_000n, lines: [] }, NOW);
    const rest = requestRefund(part, 'r2', { lines: [] }, NOW);
    expect(rest.refunds.map((refund) => refund.amount)).toEqual([1_000n, 4_000n]);
    expect(rest).toMatchObject({ paymentState: 'REFUND_PENDING', version: confirmed().version + 2 });
    expect(refundable(rest)).toBe(0n);
  });

  test('of lines gives back their price, each unit once', () => {
    const one = requestRefund(confirmed(), 'r1', { lines: [{ sku: 'mug', quantity: 1 }] }, NOW);
    expect(one.refunds[0]?.amount).toBe(1_500n);
    expect(reasonOf(() => requestRefund(one, 'r2', { lines: [{ sku: 'mug', quantity: 1 }, { sku: 'mug', quantity: 1 }] }, NOW))).toBe('REFUND_TOO_LARGE');
    expect(reasonOf(() => requestRefund(one, 'r2', { lines: [{ sku: 'hat', quantity: 1 }] }, NOW))).toBe('REFUND_TOO_LARGE');
  });

  test('of more than is left is refused and says what is left', () => {
    const part = requestRefund(confirmed(), 'r1', { amount: 4_000n, lines: [] }, NOW);
    expect(() => requestRefund(part, 'r2', { amount: 1_001n, lines: [] }, NOW)).toThrow(expect.objectContaining({ reason: 'REFUND_TOO_LARGE', metadata: { refundable: '1000', currency: 'EUR' } }));
  });

  test('of an order that is unpaid or cancelled is refused', () => {
    expect(reasonOf(() => requestRefund(order(), 'r', { lines: [] }, NOW))).toBe('ILLEGAL_TRANSITION');
    expect(reasonOf(() => requestRefund(cancel(confirmed(), 'BUYER', '', NOW), 'r', { lines: [] }, NOW))).toBe('ILLEGAL_TRANSITION');
  });

  test('is pending until payment says that it was made, whichever news comes last', () => {
    const asked = requestRefund(confirmed(), 'r1', { amount: 1_000n, lines: [] }, NOW);
    const news = [payment({ version: 4, refundPending: 1_000n }), payment({ version: 5, refunded: 1_000n }, 'r1')];
    for (const facts of [news, news.toReversed()]) expect(tell(asked, facts).paymentState).toBe('PARTIALLY_REFUNDED');
  });

  test('that the provider refused is over, and its lines may be refunded again', () => {
    const lines = [{ sku: 'mug', quantity: 2 }];
    const refused = hear(requestRefund(confirmed(), 'r1', { lines }, NOW), payment({ version: 4 }, 'r1', false), NOW);
    expect(refused).toMatchObject({ paymentState: 'PAID', refunds: [{ open: false }] });
    expect(requestRefund(refused, 'r2', { lines }, NOW).refunds[1]).toMatchObject({ amount: 3_000n, open: true });
  });
});

describe('waiting', () => {
  test('every state that is not final has a due time, and a final one has none', () => {
    expect(order()).toMatchObject({ dueTime: DUE });
    const sale = hear(order(), payment({}), NOW);
    const shipment = confirmed();
    const refund = requestRefund(shipment, 'r', { lines: [] }, NOW);
    const decision = hear(refund, payment({ version: 4, refunded: TOTAL }, 'r'), NOW);
    const dispute = hear(shipment, payment({ version: 4, disputed: true }), NOW);
    expect([order(), sale, shipment, refund, decision, dispute].map(waitOf)).toEqual(['payment', 'sale', 'shipment', 'refund', 'decision', 'dispute']);
    for (const waiting of [sale, shipment, refund, decision, dispute]) expect(waiting.dueTime?.getTime()).toBeGreaterThan(NOW.getTime());
    const shipped = fulfill(shipment, '', '', NOW);
    expect([waitOf(shipped), shipped.dueTime]).toEqual([undefined, undefined]);
  });
});

// Everything that can be said about an order, as facts and commands that may come in any order and any number of times.
const LEGAL = ['PENDING_PAYMENT>CONFIRMED', 'PENDING_PAYMENT>CANCELLED', 'CONFIRMED>CANCELLED', 'CONFIRMED>FULFILLED'];
const snapshots = fc
  .array(fc.constantFrom<Partial<Payment>>({ state: 'FAILED', captured: 0n }, { state: 'REQUIRES_ACTION', captured: 0n }, { state: 'PROCESSING', captured: 0n }), { maxLength: 3 })
  .chain((before) => fc.constantFrom<Partial<Payment>[]>([], [{}], [{}, { refunded: TOTAL }], [{}, { refunded: 100n }, { refunded: TOTAL }], [{}, { disputed: true }, { disputed: false }], [{ state: 'CANCELLED', captured: 0n }]).map((after) => [...before, ...after]))
  .map((list) => list.map((snapshot, i): Fact => payment({ ...snapshot, version: i + 1 })));
const stock = fc.constantFrom<Fact[]>([], [{ kind: 'stock_committed' }], [{ kind: 'shortfall' }]);
const history = fc.tuple(snapshots, stock).chain(([money, goods]) => {
  const facts = [...money, ...goods];
  const shuffled = fc.array(fc.nat({ max: Math.max(0, facts.length - 1) }), { maxLength: 20 });
  return fc.record({ facts: fc.constant(facts), repeats: shuffled, order: fc.shuffledSubarray(facts, { minLength: facts.length, maxLength: facts.length }) });
});

describe('facts in any order', () => {
  const essence = (end: Order) => ({ ...end, version: 0 });

  test('the same facts, in any order and any number of times, end in the same order', () => {
    fc.assert(
      fc.property(history, ({ facts, repeats, order: other }) => {
        const again = repeats.flatMap((i) => facts[i] ?? []);
        expect(essence(tell(order(), [...other, ...again]))).toEqual(essence(tell(order(), facts)));
        expect(essence(tell(order(), [...again, ...facts]))).toEqual(essence(tell(order(), facts)));
      }),
      { numRuns: 1_000 },
    );
  });

  test('a cancellation among them ends in the same order wherever it falls', () => {
    fc.assert(
      fc.property(history, fc.nat(), ({ order: facts }, place) => {
        const at = place % (facts.length + 1);
        const kept = facts.filter((fact) => fact.kind !== 'shortfall');
        const early = tell(cancel(order(), 'BUYER', 'x', NOW), kept);
        const between = tell(cancel(tell(order(), kept.slice(0, at)), 'BUYER', 'x', NOW), kept.slice(at));
        expect(essence(between)).toEqual(essence(early));
      }),
      { numRuns: 1_000 },
    );
  });

  test('only legal steps are taken, and the version grows by one with each change and with nothing else', () => {
    const act = fc.constantFrom<(now: Order) => Order>(
      (now) => cancel(now, 'BUYER', 'x', NOW), (now) => fulfill(now, 'DHL', '1', NOW),
      (now) => requestRefund(now, `r${now.version}`, { amount: 700n, lines: [] }, NOW), (now) => requestRefund(now, `r${now.version}`, { lines: [] }, NOW),
    );
    const heard = history.chain(({ order: facts, repeats }) => fc.constant([...facts, ...repeats.flatMap((i) => facts[i] ?? [])].map((fact) => (now: Order) => hear(now, fact, NOW))));
    fc.assert(
      fc.property(heard, fc.array(fc.tuple(fc.nat({ max: 20 }), act), { maxLength: 8 }), (steps, acts) => {
        const all = acts.reduce((list, [at, step]) => list.toSpliced(at, 0, step), steps);
        let now = order();
        for (const step of all) {
          const before = now;
          if (reasonOf(() => (now = step(before))) !== 'nothing thrown') now = before;
          expect([`${now.state}>${now.state}`, ...LEGAL]).toContain(`${before.state}>${now.state}`);
          const seen = now.state !== before.state || now.paymentState !== before.paymentState || now.payment.refunded !== before.payment.refunded || now.refunds.length !== before.refunds.length;
          expect(now.version - before.version).toBe(seen ? 1 : 0);
          expect(now.dueTime === undefined).toBe(waitOf(now) === undefined);
          expect(now.state === 'CANCELLED').toBe(now.cancelCause !== '');
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
