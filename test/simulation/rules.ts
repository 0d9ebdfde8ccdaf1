// The rules under test: every pure decision of the five services, in one table, so that a test can put a broken one in its place.
import * as inventoryFacts from '../../services/inventory/src/facts.ts';
import { expire, hold, release } from '../../services/inventory/src/reservation.ts';
import { afterLookUp, decide, messagesFor, verdict } from '../../services/notification/src/notification.ts';
import { cancel, fulfill, hear, newOrder, requestRefund } from '../../services/order/src/order.ts';
import { priceLines } from '../../services/order/src/pricing.ts';
import { apply, open } from '../../services/payment/src/apply.ts';
import { dueIn, idempotencyKey, nextStep } from '../../services/payment/src/payment.ts';
import { differenceOf } from '../../services/payment/src/reconcile.ts';
import { decide as settle, isNews } from '../../services/payment/src/settle.ts';
import { nothingFound } from '../../services/payment/src/stripe-facts.ts';
import { archiveProduct, changeProduct, newProduct } from '../../services/product/src/product.ts';

export const RULES = {
  product: { newProduct, changeProduct, archiveProduct },
  order: { newOrder, priceLines, hear, cancel, fulfill, requestRefund },
  inventory: { hold, expire, release, ...inventoryFacts },
  payment: { open, apply, settle, isNews, nextStep, idempotencyKey, dueIn, differenceOf, nothingFound },
  notification: { messagesFor, verdict, decide, afterLookUp },
  /** What the house does around decisions. */
  house: {
    /** Event ids are remembered with the effect. */
    inbox: true,
    /** Answers are remembered with the effect, under the caller's request id. */
    requestMemory: true,
    /** Events are written with the change that they tell; else they are said afterwards, if nobody dies in between. */
    outbox: true,
    /** An event is acknowledged after its effect; else before it, and lost when the service dies then. */
    ackAfterEffect: true,
    /** What was decided on a row as it was read is only saved where nobody has written it since. */
    stamps: true,
    /** Webhook ids are remembered with the effect. */
    webhookMemory: true,
  },
};

export type Rules = typeof RULES;
