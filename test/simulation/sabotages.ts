// Rules that are broken on purpose, one at a time: the simulation must notice each, or its silence means nothing.
import type { Account } from '../../services/payment/src/payment.ts';
import { type Profile, PROFILES } from './moves.ts';
import { RULES, type Rules } from './rules.ts';

/** `breaks`: what must notice, an invariant or the end that never comes. */
export type Sabotage = { title: string; rules: Rules; breaks: RegExp; profile?: Profile };

const { order, inventory, payment, notification, house } = RULES;
const withRules = (changed: Partial<Rules>): Rules => ({ ...RULES, ...changed });
const ignoringDoubt = (account: Account): Account => ({ ...account, payment: { ...account.payment, asking: false } });
let keys = 0;

export const SABOTAGES: readonly Sabotage[] = [
  { title: 'events are acknowledged before their effect', rules: withRules({ house: { ...house, ackAfterEffect: false } }), breaks: /I\d/ },
  { title: 'events are said after the commit, if at all', rules: withRules({ house: { ...house, outbox: false } }), breaks: /I\d/ },
  { title: 'a repeated refund request is a new one', rules: withRules({ house: { ...house, requestMemory: false } }), breaks: /I3/ },
  { title: 'a worker writes over what others have changed meanwhile', rules: withRules({ house: { ...house, stamps: false } }), breaks: /I\d|does not settle/ },
  {
    title: 'a new idempotency key for every call, and no look before the next one',
    rules: withRules({ payment: { ...payment, idempotencyKey: () => `random ${(keys += 1)}`, nextStep: (account) => payment.nextStep(ignoringDoubt(account)) } }),
    breaks: /I3|I4/, profile: PROFILES.E15,
  },
  {
    title: 'a stored error of the provider is asked for again and again',
    rules: withRules({ payment: { ...payment, idempotencyKey: (step, one) => payment.idempotencyKey(step, { ...one, generation: 0 }) } }),
    breaks: /does not settle|I7/, profile: PROFILES.E15,
  },
  { title: 'a search that finds nothing is believed at once, though its key is spent', rules: withRules({ payment: { ...payment, nothingFound: ({ payment: { generation } }) => [{ kind: 'not_found', generation }] } }), breaks: /I3/, profile: PROFILES.E15 },
  {
    title: 'a late payment of a cancelled order is kept',
    rules: withRules({
      payment: {
        ...payment,
        settle(before, item, stamp) {
          const result = payment.settle(before, item, stamp);
          const kept = (account: Account): Account => ({ ...account, refunds: account.refunds.filter(({ refundId }) => !refundId.startsWith('refund_late')) });
          return { ...result, account: kept(result.account), ...(result.change && { change: { ...result.change, account: kept(result.change.account) } }) };
        },
      },
    }),
    breaks: /does not settle|I8/,
  },
  { title: 'the newest word of payment counts, whatever its version', rules: withRules({ order: { ...order, hear: (one, fact, now) => order.hear(fact.kind === 'payment' ? { ...one, payment: { ...one.payment, version: 0 } } : one, fact, now) } }), breaks: /I4|I13/ },
  { title: 'a shortfall is not heard', rules: withRules({ order: { ...order, hear: (one, fact, now) => (fact.kind === 'shortfall' ? one : order.hear(one, fact, now)) } }), breaks: /I8/, profile: PROFILES.E21 },
  { title: 'a shipped order can be cancelled', rules: withRules({ order: { ...order, cancel: (one, cause, reason, now) => ({ ...order.cancel({ ...one, state: one.state === 'FULFILLED' ? 'CONFIRMED' : one.state }, cause, reason, now) }) } }), breaks: /I13/ },
  {
    title: 'a cancelled order leaves no mark on a hold that has ended',
    rules: withRules({ inventory: { ...inventory, orderCancelled: (books, orderId, cause) => (books.reservation(orderId)?.state === 'RELEASED' ? undefined : inventory.orderCancelled(books, orderId, cause)) } }),
    breaks: /I1b/, profile: PROFILES.E21,
  },
  { title: 'a hold ends although it was sold', rules: withRules({ inventory: { ...inventory, expire: (held, now, cause) => inventory.expire(held.state === 'COMMITTED' ? { ...held, state: 'HELD' } : held, now, cause) } }), breaks: /I1|reserved/ },
  { title: 'the cancellation of a sold order puts nothing back', rules: withRules({ inventory: { ...inventory, orderCancelled: (books, orderId, cause) => (books.reservation(orderId)?.state === 'COMMITTED' ? undefined : inventory.orderCancelled(books, orderId, cause)) } }), breaks: /I1b/ },
  { title: 'a mail that is not found at once is sent again', rules: withRules({ notification: { ...notification, afterLookUp: (found, due, pause) => notification.afterLookUp(found, { ...due, lagMs: 0 }, pause) } }), breaks: /I9/ },
  { title: 'a mail in doubt is sent again without a look', rules: withRules({ notification: { ...notification, decide: (now, fact) => notification.decide(now, fact.type === 'unknown' ? { type: 'not_sent', attempt: fact.attempt, pauseMs: 0 } : fact) } }), breaks: /I9/ },
  { title: 'one key for every message of an order', rules: withRules({ notification: { ...notification, messagesFor: (news, admins) => notification.messagesFor(news, admins).map((message) => ({ ...message, idempotencyKey: message.orderId })) } }), breaks: /I9/ },
  { title: 'an old name of a product replaces a newer one', rules: withRules({ inventory: { ...inventory, productUpdated: (books, { sku, name }) => books.keep({ ...(books.levelOf(sku) as NonNullable<ReturnType<typeof books.levelOf>>), name, productVersion: 2 }) } }), breaks: /I4/ },
];
