// Every place at which a process can be made to die, by service. A test holds this list equal to the code.
import type { Service } from '../../../local/src/nats-permissions.ts';

/** In every service that does it: between the broker's answer and the mark, before and after the commit of an effect. */
const EVERYWHERE = ['relay.published'];
const HEARS = ['consumer.received', 'consumer.committed'];
const ANSWERS = ['requests.decided', 'requests.committed'];

/** The steps of a payment at the provider: after its answer, and after that is stored. */
const STEPS = ['pay', 'create', 'find', 'confirm', 'cancel', 'look_up', 'refund', 'close'];

export const CRASH_POINTS: Record<Service, readonly string[]> = {
  product: [...EVERYWHERE, ...ANSWERS],
  order: [
    ...EVERYWHERE, ...HEARS, ...ANSWERS, 'place.priced', 'place.held', 'place.inserted', 'place.looked_up', 'cancel.recorded', 'refund.recorded', 'fulfill.recorded', 'expire.recorded', 'facts.recorded',
  ],
  inventory: [...EVERYWHERE, ...HEARS, ...ANSWERS, 'reserve.saved', 'change.saved', 'expire.ended'],
  payment: [
    ...EVERYWHERE, ...HEARS, ...ANSWERS, 'open.inserted', 'order_cancelled.settled', 'refund_requested.settled', 'claimed', ...STEPS.flatMap((step) => [`${step}.answered`, `${step}.settled`]),
    'webhook.remembered', 'webhook.taken',
  ],
  notification: [...EVERYWHERE, ...HEARS, 'messages.queued', 'mails.claimed', 'mails.sent', 'mails.reported', 'text.claimed', 'text.sent', 'message.looked_up', 'webhook.reported'],
};
