import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterFailedLookUp, afterLookUp, decide, type Fact, KINDS, type Kind, MAX_ATTEMPTS, messagesFor, type News, oneLine, type Standing, verdict, withoutAddresses } from './notification.ts';

const ADMINS = ['a@shop.example', 'b@shop.example'];
const fresh: Standing = { state: 'pending', version: 1, attempts: 1, sending: true };

const news: fc.Arbitrary<News> = fc.record({
  kind: fc.constantFrom(...(Object.keys(KINDS) as Kind[])),
  orderId: fc.constantFrom('ord_1', 'ord_2', 'ord_3'),
  details: fc.constant({}),
});

describe('what is said', () => {
  it('is the same set of messages, each once, for the same events in any order, any number of times', () => {
    fc.assert(
      fc.property(
        fc.array(news, { maxLength: 12 }).chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray([...all, ...all, ...all], { minLength: 0 }))),
        ([all, some]) => {
          const once = keys(all);
          const again = keys([...some, ...all]);
          expect(again).toEqual(once);
          expect(new Set(once).size).toBe(once.length);
        },
      ),
    );
  });

  it('goes to the buyer once per order, kind and channel', () => {
    expect(messagesFor({ kind: 'payment_confirmation', orderId: 'ord_1', details: {} }, ADMINS).map((m) => m.idempotencyKey)).toEqual(['ord_1:payment_confirmation:email', 'ord_1:payment_confirmation:sms']);
    expect(messagesFor({ kind: 'order_confirmation', orderId: 'ord_1', details: {} }, ADMINS).map((m) => m.channel)).toEqual(['email']);
  });

  it('goes to each admin once per alert', () => {
    const low = messagesFor({ kind: 'low_stock', orderId: '', about: 'low_stock:MUG:7', details: {} }, ADMINS);
    expect(low.map((m) => [m.idempotencyKey, m.recipient])).toEqual([
      ['low_stock:MUG:7:a@shop.example', 'a@shop.example'],
      ['low_stock:MUG:7:b@shop.example', 'b@shop.example'],
    ]);
  });

  it('is nothing when there is no admin to tell', () => {
    expect(messagesFor({ kind: 'operator_alert', orderId: 'ord_1', details: {} }, [])).toEqual([]);
  });
});

describe('a message that is due', () => {
  const due = { kind: 'order_cancelled', channel: 'sms', known: true, recipient: '+491701234567', wanted: true, ageMs: 0 } as const;

  it.each([
    ['goes out when it is wanted and has an address', due, 'send'],
    ['waits for the customer to become known, over a weekend too', { ...due, known: false, recipient: '', ageMs: 72 * 3_600_000 }, 'wait'],
    ['fails when the customer never becomes known', { ...due, known: false, recipient: '', ageMs: 8 * 24 * 3_600_000 }, 'failed'],
    ['is suppressed without an address', { ...due, recipient: '' }, 'suppressed'],
    ['is suppressed when the customer opted out', { ...due, wanted: false }, 'suppressed'],
    ['goes to an admin whatever a customer wants', { ...due, kind: 'operator_alert' as const, known: false, wanted: false, recipient: 'a@shop.example' }, 'send'],
  ])('%s', (_title, message, type) => {
    expect(verdict(message).type).toBe(type);
  });
});

describe('what becomes of a message', () => {
  const providerFacts: Fact[] = [
    { type: 'sent', providerMessageId: 'm1' },
    { type: 'delivered', providerMessageId: 'm1' },
    { type: 'bounced', providerMessageId: 'm1', bounceType: 'HardBounce' },
  ];

  it('does not depend on the order or number of the provider’s reports, and each event is said once with the next version', () => {
    fc.assert(
      fc.property(fc.subarray(providerFacts, { minLength: 1 }).chain((facts) => fc.tuple(fc.constant(facts), fc.shuffledSubarray([...facts, ...facts, ...facts], { minLength: 0 }))), ([facts, repeats]) => {
        const end = play(fresh, [...repeats, ...facts]);
        const wanted = facts.some((f) => f.type === 'bounced') ? 'bounced' : facts.some((f) => f.type === 'delivered') ? 'delivered' : 'sent';
        expect(end.now.state).toBe(wanted);
        expect(end.said.map((s) => s.what)).toEqual(wanted === 'bounced' ? ['sent', 'bounced'] : ['sent']);
        expect(end.said[0]?.version).toBe(2);
        expect(end.now.sending).toBe(false);
      }),
    );
  });

  it('never leaves a final state, and its version grows by one with each state', () => {
    const anyFact = fc.oneof(
      fc.constantFrom(...providerFacts),
      fc.record({ type: fc.constantFrom('failed' as const, 'suppressed' as const), attempt: fc.integer({ min: 1, max: 2 }), error: fc.constant('no') }),
      fc.record({ type: fc.constantFrom('delayed' as const, 'unknown' as const), attempt: fc.integer({ min: 1, max: 2 }), error: fc.constant('no'), pauseMs: fc.constant(5) }),
      fc.record({ type: fc.constantFrom('not_sent' as const, 'waiting' as const), attempt: fc.integer({ min: 1, max: 2 }), pauseMs: fc.constant(5) }),
    );
    fc.assert(
      fc.property(fc.array(anyFact, { maxLength: 30 }), (facts) => {
        let now = fresh;
        for (const fact of facts) {
          const step = decide(now, fact);
          if (!step) continue;
          expect(['bounced', 'failed', 'suppressed']).not.toContain(now.state);
          expect(step.version - now.version).toBe(now.state === step.state ? 0 : step.state === 'sent' || now.state !== 'pending' || ['failed', 'suppressed'].includes(step.state) ? 1 : 2);
          now = step;
        }
      }),
    );
  });

  it('ignores a report of an older attempt, but not that it was sent', () => {
    const second = { ...fresh, attempts: 2 };
    expect(decide(second, { type: 'delayed', attempt: 1, error: 'x', pauseMs: 1 })).toBeUndefined();
    expect(decide(second, { type: 'not_sent', attempt: 1, pauseMs: 0 })).toBeUndefined();
    expect(decide(second, { type: 'sent', providerMessageId: 'm1' })?.state).toBe('sent');
  });

  it('stays "sending" when the outcome is unknown, so that it is looked up before it is sent again', () => {
    const unknown = decide(fresh, { type: 'unknown', attempt: 1, error: 'timeout', pauseMs: 2_000 });
    expect(unknown).toMatchObject({ state: 'pending', sending: true, attempts: 1, pauseMs: 2_000 });
    expect(decide(unknown as Standing, { type: 'not_sent', attempt: 1, pauseMs: 0 })).toMatchObject({ state: 'pending', sending: false, pauseMs: 0 });
  });

  it('fails after the last attempt', () => {
    expect(decide({ ...fresh, attempts: MAX_ATTEMPTS }, { type: 'delayed', attempt: MAX_ATTEMPTS, error: 'busy', pauseMs: 1 })).toMatchObject({ state: 'failed', error: 'busy', said: [{ what: 'failed', version: 2 }] });
    expect(decide({ ...fresh, attempts: 3 }, { type: 'delayed', attempt: 3, error: 'busy', pauseMs: 1 })).toMatchObject({ state: 'pending', sending: false });
  });

  it('fails when it was tried too often, also when nobody ever refused it', () => {
    expect(decide({ ...fresh, attempts: MAX_ATTEMPTS }, { type: 'not_sent', attempt: MAX_ATTEMPTS, pauseMs: 0 })).toMatchObject({ state: 'failed', error: 'tried too often' });
  });

  it('does not count a wait for the customer as an attempt', () => {
    expect(decide(fresh, { type: 'waiting', attempt: 1, pauseMs: 9 })).toMatchObject({ state: 'pending', sending: false, attempts: 0, pauseMs: 9 });
  });
});

describe('a look-up', () => {
  it.each([
    ['that finds the message', 'm1', 60_000, { type: 'sent', providerMessageId: 'm1' }],
    ['that finds nothing yet: the provider may be late', undefined, 60_000, { type: 'unknown', pauseMs: 15_000 }],
    ['that finds nothing shortly before the end of the wait', undefined, 4_000, { type: 'unknown', pauseMs: 4_000 }],
    ['that finds nothing in the end', undefined, 0, { type: 'not_sent', pauseMs: 7 }],
  ])('%s', (_title, found, lagMs, fact) => {
    expect(afterLookUp(found, { attempt: 1, lagMs }, 7)).toMatchObject(fact);
  });

  it('that fails is repeated ever more rarely, for a day', () => {
    const pauses = [0, 5_000, 60_000, 3_600_000].map((doubtMs) => afterFailedLookUp({ attempt: 1, doubtMs }));
    expect(pauses.map((fact) => ('pauseMs' in fact ? fact.pauseMs : 'over'))).toEqual([2_000, 5_000, 60_000, 600_000]);
    expect(afterFailedLookUp({ attempt: 1, doubtMs: 25 * 3_600_000 }).type).toBe('failed');
  });
});

describe('texts of others', () => {
  it('lose addresses and numbers before anybody reads them', () => {
    expect(withoutAddresses("inactive recipient 'ada@mail.example', <bob@x.example>")).toBe("inactive recipient '(address)', <(address)>");
    expect(withoutAddresses("The 'To' number +49 170 1234567 is not valid")).toBe("The 'To' number (number) is not valid");
  });

  it('are one line in a subject', () => {
    expect(oneLine('Hi\r\nBcc: all@x.example\u2028!')).toBe('Hi Bcc: all@x.example !');
  });
});

function keys(all: News[]): string[] {
  return [...new Set(all.flatMap((item) => messagesFor(item, ADMINS)).map((message) => message.idempotencyKey))].sort();
}

function play(start: Standing, facts: Fact[]) {
  let now = start;
  const said = [];
  for (const fact of facts) {
    const step = decide(now, fact);
    if (!step) continue;
    said.push(...step.said);
    now = step;
  }
  return { now, said };
}
