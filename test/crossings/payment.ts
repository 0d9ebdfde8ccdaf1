// Payment: what order tells, what the provider answers, and what the buyer and an operator do meanwhile.
import { apply, open } from '../../services/payment/src/apply.ts';
import type { DisputeFact, Fact, IntentFact, RefundFact } from '../../services/payment/src/facts.ts';
import type { Account, Opening } from '../../services/payment/src/payment.ts';
import { crossing, type Happening } from './crossing.ts';

const ORDER: Opening = { orderId: 'ord_1', customerId: 'buyer', amount: 1_000n, currency: 'EUR', paymentMethod: 'pm_card_visa', dueTime: new Date('2026-01-01T00:30:00Z') };
const intent = (status: IntentFact['status'], more: Partial<IntentFact> = {}): IntentFact => ({
  kind: 'intent', id: 'pi_1', clientSecret: 's', status, orderId: 'ord_1', amount: 1_000n, currency: 'EUR', captured: status === 'captured' ? 1_000n : 0n, actionUrl: status === 'action' ? 'https://bank.example' : '', ...more,
});
const refunded = (state: RefundFact['state']): RefundFact => ({ kind: 'refund', id: 're_1', intentId: 'pi_1', refundId: 'r1', amount: 300n, currency: 'EUR', state, reason: '', failureMessage: '' });
const dispute = (closed: boolean): DisputeFact => ({ kind: 'dispute', id: 'dp_1', intentId: 'pi_1', reason: 'fraudulent', closed });
const hears = (fact: Fact): Happening<Account> => (account) => apply(account, fact).account;
const after = (...facts: Fact[]) => () => facts.reduce((account, fact) => apply(account, fact).account, open(ORDER).account);

const CANCELLED: Fact = { kind: 'order_cancelled' };
const REFUND: Fact = { kind: 'refund_requested', refundId: 'r1', amount: 300n, reason: '' };
const DECLINED = { failure: { code: 'card_declined', message: 'no' }, attempt: 1 };

export const CROSSING = crossing<Account>({
  service: 'payment',
  starts: {
    'a payment that was just opened': after(),
    'a payment whose intent is open': after(intent('open')),
    'a payment that was declined': after(intent('open', DECLINED)),
    'a captured payment': after(intent('captured')),
    'a captured payment with a refund on its way': after(intent('captured'), REFUND),
    'a payment whose order was cancelled': after(intent('open'), CANCELLED),
    'a captured payment whose order was cancelled': after(intent('captured'), CANCELLED),
  },
  happenings: {
    'the order is placed': hears({ kind: 'placed', order: ORDER }),
    'the order is cancelled': hears(CANCELLED),
    'a part is to be refunded': hears(REFUND),
    'the provider has captured it': hears(intent('captured')),
    'a bank is at it': hears(intent('processing')),
    'the provider told of an open intent': hears(intent('open')),
    'a refund is under way': hears(refunded('PENDING')),
    'a refund was given': hears(refunded('SUCCEEDED')),
    'the refund came back': hears(refunded('FAILED')),
    'the buyer disputes it': hears(dispute(false)),
    'the dispute is closed': hears(dispute(true)),
    'a webhook asks for a look': hears({ kind: 'look_up' }),
    'a look finds nothing': hears({ kind: 'not_found', generation: 0 }),
    'the buyer tries again': hears({ kind: 'attempt', paymentMethod: 'pm_2' }),
  },
  // How an unfinished intent stands is only told by looks, one at a time: their order is the truth.
  instead: [['a bank is at it', 'the provider told of an open intent']],
  // The worker closes what is left of a cancelled order, from wherever it stands.
  endOf: ({ payment: { state, captured, refunded: back, refundPending, disputed, orderCancelled, intentOpen } }) => ({ state: orderCancelled && state !== 'SUCCEEDED' ? 'closing' : state, captured, refunded: back, refundPending, disputed, orderCancelled, intentOpen }),
  races: [],
});
