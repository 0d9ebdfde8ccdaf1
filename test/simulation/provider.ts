// A provider that keeps its word about idempotency keys, and whose answers may get lost on the way.

import type { Fact as PaymentFact, IntentFact } from '../../services/payment/src/facts.ts';
import type { Payment } from '../../services/payment/src/payment.ts';

export function createProvider() {
  let intent: IntentFact | undefined;
  let intents = 0;
  let captures = 0;
  const answers = new Map<string, PaymentFact[]>();
  const refunds: { id: string; refundId: string; amount: bigint }[] = [];

  function perform(step: string, key: string, payment: Payment, refund: { refundId: string; amount: bigint } | undefined, declined: boolean): PaymentFact[] {
    const known = answers.get(key);
    if (known) return known;
    const facts = act(step, payment, refund, declined);
    if (['pay', 'create', 'confirm', 'cancel', 'refund'].includes(step)) answers.set(key, facts);
    return facts;
  }

  function act(step: string, payment: Payment, refund: { refundId: string; amount: bigint } | undefined, declined: boolean): PaymentFact[] {
    switch (step) {
      case 'pay':
        act('create', payment, undefined, declined);
        return act('confirm', payment, undefined, declined);
      case 'create':
        intents += 1;
        intent = { kind: 'intent', id: `pi_${intents}`, clientSecret: 's', status: 'open', orderId: payment.orderId, amount: payment.amount, currency: payment.currency, captured: 0n, actionUrl: '' };
        return [intent];
      case 'find':
        return intent ? [intent] : [{ kind: 'not_found' }];
      case 'confirm':
        if (intent === undefined || intent.status === 'canceled') return [{ kind: 'refused', attempt: payment.attempts, failure: { code: 'unexpected_state', message: '' } }];
        if (intent.status !== 'captured') {
          intent = declined ? { ...intent, status: 'open', failure: { code: 'card_declined', message: '' } } : { ...intent, status: 'captured', captured: intent.amount };
          if (!declined) captures += 1;
        }
        return [{ ...intent, attempt: payment.attempts }];
      case 'cancel':
        if (intent && intent.status !== 'captured') intent = { ...intent, status: 'canceled' };
        return intent ? [intent] : [];
      case 'refund':
        refunds.push({ id: `re_${refunds.length + 1}`, refundId: refund?.refundId ?? '', amount: refund?.amount ?? 0n });
        return [refundFact(refunds.length - 1)];
      case 'look_up':
        return intent ? [intent, ...refunds.map((_, i) => refundFact(i))] : [];
      case 'close':
        return [{ kind: 'closed' }];
      default:
        return [];
    }
  }

  function refundFact(i: number): PaymentFact {
    const { id, refundId, amount } = refunds[i] as (typeof refunds)[number];
    return { kind: 'refund', id, intentId: intent?.id ?? '', refundId, amount, currency: 'EUR', state: 'SUCCEEDED', reason: '', failureMessage: '' };
  }

  return {
    perform,
    fact: () => intent,
    captures: () => captures,
    intents: () => intents,
    refunded: () => refunds.reduce((sum, { amount }) => sum + amount, 0n),
    /** Whether the provider knows more than the payment does. */
    ahead: (payment: Payment) => intent?.status === 'captured' && payment.state !== 'SUCCEEDED',
  };
}
