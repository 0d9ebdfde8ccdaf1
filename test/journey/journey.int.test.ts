// The journey of an order, end to end, on real parts, through the public port.

import { randomUUID } from 'node:crypto';
import { ReservationState } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { CancelCause, OrderState, PaymentState as OrderPaymentState, type Order } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { PaymentState } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import { NotificationState } from '@millrace/gen/millrace/notification/v1/notification_pb.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSystem, until, type Clients, type System } from '../support/system.ts';

let system: System;
let admin: Clients;
let buyer: Clients;

beforeAll(async () => {
  system = await startSystem();
  admin = system.as('admin');
  buyer = system.as('buyer');
}, 120_000);
afterAll(async () => system[Symbol.asyncDispose](), 30_000);

async function product(stock: number, { price = 1250n, threshold = 0 } = {}): Promise<string> {
  const sku = `T-${randomUUID().slice(0, 8)}`;
  await admin.products.createProduct({
    product: { sku, name: `Test ${sku}`, price: { currencyCode: 'EUR', minorUnits: price } }, initialStock: stock, lowStockThreshold: threshold,
  });
  await until(async () => (await admin.inventory.batchGetStock({ skus: [sku] })).stockLevels.length === 1);
  return sku;
}

const email = () => `buyer-${randomUUID().slice(0, 8)}@example.com`;

async function place(sku: string, quantity: number, paymentMethod = 'pm_card_visa', more: { phone?: string } = {}): Promise<Order> {
  const { order } = await buyer.orders.placeOrder({
    requestId: randomUUID(), customer: { name: 'Ada Lovelace', email: email(), ...more }, lines: [{ sku, quantity }], paymentMethod,
  });
  if (order === undefined) throw new Error('no order in the answer');
  return order;
}

const inState = (orderId: string, state: OrderState) =>
  until(async () => {
    const { order } = await buyer.orders.getOrder({ orderId });
    return order?.state === state ? order : undefined;
  });

async function ledger(provider: 'stripe' | 'postmark' | 'twilio', orderId: string): Promise<Record<string, unknown>[]> {
  const entries = (await (await fetch(`${system.runtime.sandbox}/ledger/${provider}`)).json()) as Record<string, unknown>[];
  return entries.filter((entry) => entry['order_id'] === orderId);
}

const mailKinds = async (orderId: string) => (await ledger('postmark', orderId)).map((mail) => String(mail['kind'])).sort();

test('an order is priced, held, paid, sold and told', async () => {
  const sku = await product(10);
  const order = await place(sku, 3);
  expect(order).toMatchObject({ state: OrderState.PENDING_PAYMENT, total: { currencyCode: 'EUR', minorUnits: 3750n }, version: 1 });
  const answered = performance.now();
  const confirmed = await inState(order.orderId, OrderState.CONFIRMED);
  const took = performance.now() - answered;
  expect(confirmed).toMatchObject({ paymentState: OrderPaymentState.PAID });
  await until(async () => (await mailKinds(order.orderId)).length === 2);
  expect(await mailKinds(order.orderId)).toEqual(['order_confirmation', 'payment_confirmation']);
  const { stockLevel } = await until(async () => {
    const answer = await admin.inventory.getStock({ sku });
    return answer.stockLevel?.onHand === 7 ? answer : undefined;
  });
  expect(stockLevel).toMatchObject({ onHand: 7, reserved: 0, available: 7 });
  expect(await ledger('stripe', order.orderId)).toMatchObject([{ type: 'captured', amount: 3750, currency: 'eur' }]);
  console.log(`confirmed ${took.toFixed(0)} ms after the answer`);
});

test('the timeline tells the story over all services', async () => {
  const sku = await product(5);
  const { orderId } = await place(sku, 1);
  await inState(orderId, OrderState.CONFIRMED);
  const entries = await until(async () => {
    const timeline = await buyer.orders.getOrderTimeline({ orderId });
    const kinds = timeline.entries.map((entry) => entry.kind);
    return kinds.filter((kind) => kind === 'notifications.sent').length === 2 && kinds.includes('inventory.committed') ? timeline.entries : undefined;
  });
  const sources = new Set(entries.map((entry) => entry.source));
  expect([...sources].sort()).toEqual(['inventory', 'notification', 'order', 'payment']);
  expect(entries.every((entry) => entry.summary !== '')).toBe(true);
});

test('an order without a payment method waits for the buyer, who pays it with ConfirmPayment', async () => {
  const sku = await product(2);
  const { orderId } = await place(sku, 1, '');
  const payment = await until(async () => (await buyer.payments.getPayment({ orderId }).catch(() => undefined))?.payment);
  expect(payment.state).toBe(PaymentState.PENDING);
  await buyer.payments.confirmPayment({ orderId, paymentMethod: 'pm_card_visa', requestId: randomUUID() });
  await inState(orderId, OrderState.CONFIRMED);
});

test('a declined order stays payable, and a second card confirms it with one capture', async () => {
  const sku = await product(2);
  const { orderId } = await place(sku, 1, 'pm_card_chargeDeclinedInsufficientFunds');
  const declined = await until(async () => {
    const { order } = await buyer.orders.getOrder({ orderId });
    return order?.paymentState === OrderPaymentState.FAILED ? order : undefined;
  });
  expect(declined.state).toBe(OrderState.PENDING_PAYMENT);
  expect((await buyer.payments.getPayment({ orderId })).payment).toMatchObject({ state: PaymentState.FAILED, failureCode: 'card_declined' });
  await buyer.payments.confirmPayment({ orderId, paymentMethod: 'pm_card_visa', requestId: randomUUID() });
  await inState(orderId, OrderState.CONFIRMED);
  expect((await ledger('stripe', orderId)).map((entry) => entry['type'])).toEqual(['declined', 'captured']);
  await until(async () => (await mailKinds(orderId)).length === 3);
  expect(await mailKinds(orderId)).toEqual(['order_confirmation', 'payment_confirmation', 'payment_failed']);
});

test('a card that wants 3-D Secure asks the buyer, and confirms when the buyer has answered', async () => {
  const sku = await product(2);
  const { orderId } = await place(sku, 1, 'pm_card_authenticationRequired');
  const payment = await until(async () => {
    const answer = await buyer.payments.getPayment({ orderId }).catch(() => undefined);
    return answer?.payment?.state === PaymentState.REQUIRES_ACTION ? answer.payment : undefined;
  });
  await until(async () => (await buyer.orders.getOrder({ orderId })).order?.paymentState === OrderPaymentState.ACTION_REQUIRED);
  const answered = await fetch(`${system.runtime.sandbox}/control/stripe/authenticate`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ payment_intent: payment.providerPaymentId, outcome: 'succeed' }),
  });
  expect(answered.status).toBe(200);
  await inState(orderId, OrderState.CONFIRMED);
});

test('a cancelled unpaid order gives its stock back and is never charged', async () => {
  const sku = await product(4);
  const { orderId } = await place(sku, 4, '');
  expect((await admin.inventory.getStock({ sku })).stockLevel).toMatchObject({ reserved: 4, available: 0 });
  const { order } = await buyer.orders.cancelOrder({ orderId, reason: 'changed my mind', requestId: randomUUID() });
  expect(order).toMatchObject({ state: OrderState.CANCELLED, cancelReason: 'changed my mind', cancelCause: CancelCause.BUYER });
  await until(async () => (await admin.inventory.getStock({ sku })).stockLevel?.available === 4);
  await until(async () => (await buyer.payments.getPayment({ orderId })).payment?.state === PaymentState.CANCELLED);
  expect((await ledger('stripe', orderId)).filter((entry) => entry['type'] === 'captured')).toEqual([]);
});

test('a cancelled paid order is refunded and restocked', async () => {
  const sku = await product(4);
  const { orderId } = await place(sku, 2);
  await inState(orderId, OrderState.CONFIRMED);
  await until(async () => (await admin.inventory.getReservation({ orderId })).reservation?.state === ReservationState.COMMITTED);
  await buyer.orders.cancelOrder({ orderId, requestId: randomUUID() });
  await until(async () => (await buyer.orders.getOrder({ orderId })).order?.paymentState === OrderPaymentState.REFUNDED);
  await until(async () => (await admin.inventory.getStock({ sku })).stockLevel?.onHand === 4);
  expect((await ledger('stripe', orderId)).map((entry) => [entry['type'], entry['amount']])).toEqual([['captured', 2500], ['refunded', 2500]]);
  await until(async () => (await mailKinds(orderId)).includes('refund'));
  expect(await mailKinds(orderId)).toEqual(['order_cancelled', 'order_confirmation', 'payment_confirmation', 'refund']);
});

test('a partial refund gives back the price of a line and restocks it', async () => {
  const sku = await product(4);
  const { orderId } = await place(sku, 3);
  await inState(orderId, OrderState.CONFIRMED);
  await admin.orders.refundOrder({ orderId, lines: [{ sku, quantity: 1 }], restock: true, reason: 'one was broken', requestId: randomUUID() });
  const refunded = await until(async () => {
    const { order } = await buyer.orders.getOrder({ orderId });
    return order?.paymentState === OrderPaymentState.PARTIALLY_REFUNDED ? order : undefined;
  });
  expect(refunded.refunded).toMatchObject({ minorUnits: 1250n });
  await until(async () => (await admin.inventory.getStock({ sku })).stockLevel?.onHand === 2);
});

test('a confirmed order is fulfilled, and the buyer is told', async () => {
  const sku = await product(1);
  const { orderId } = await place(sku, 1, 'pm_card_visa', { phone: '+491701234567' });
  await inState(orderId, OrderState.CONFIRMED);
  await until(async () => (await admin.inventory.getReservation({ orderId })).reservation?.state === ReservationState.COMMITTED);
  const fulfil = () => admin.orders.fulfillOrder({ orderId, carrier: 'DHL', trackingNumber: '00340434' });
  const { order } = await until(() => fulfil().catch(() => undefined));
  expect(order).toMatchObject({ state: OrderState.FULFILLED, carrier: 'DHL', trackingNumber: '00340434' });
  await until(async () => (await mailKinds(orderId)).includes('order_fulfilled'));
  await until(async () => (await ledger('twilio', orderId)).length === 2);
  expect((await ledger('twilio', orderId)).map((text) => String(text['kind'])).toSorted()).toEqual(['order_fulfilled', 'payment_confirmation']);
});

test('stock at its threshold alerts the admins once, until it has recovered', async () => {
  const sku = await product(6, { threshold: 3 });
  const alerts = async () => {
    const mails = (await (await fetch(`${system.runtime.sandbox}/ledger/postmark`)).json()) as { kind: string; subject: string; text: string }[];
    return mails.filter((mail) => mail.kind === 'low_stock' && `${mail.subject} ${mail.text}`.includes(sku)).length;
  };
  await inState((await place(sku, 3)).orderId, OrderState.CONFIRMED);
  await until(async () => (await alerts()) === 1);
  await inState((await place(sku, 1)).orderId, OrderState.CONFIRMED);
  await admin.inventory.adjustStock({ sku, delta: 10, reason: 'delivery', requestId: randomUUID() });
  expect((await admin.inventory.getStock({ sku })).stockLevel?.low).toBe(false);
  await inState((await place(sku, 10)).orderId, OrderState.CONFIRMED);
  await until(async () => (await alerts()) === 2);
});

test('every message of an order reaches the state SENT or later, and can be listed', async () => {
  const sku = await product(1);
  const { orderId } = await place(sku, 1);
  await inState(orderId, OrderState.CONFIRMED);
  const { notifications } = await until(async () => {
    const list = await admin.notifications.listNotifications({ orderId });
    const done = list.notifications.filter((n) => n.state === NotificationState.SENT || n.state === NotificationState.DELIVERED);
    return done.length === 2 ? list : undefined;
  });
  expect(notifications.every((n) => n.providerMessageId !== '')).toBe(true);
});

test('300 buyers for 50 units over two skus in opposite line order: exactly 50 orders, the rest out of stock', async () => {
  const [a, b] = [await product(50), await product(50)];
  const orders = await Promise.allSettled(Array.from({ length: 300 }, (_, i) =>
    buyer.orders.placeOrder({
      requestId: randomUUID(), customer: { name: `Buyer ${i}`, email: email() }, paymentMethod: 'pm_card_visa',
      lines: (i % 2 ? [a, b] : [b, a]).map((sku) => ({ sku, quantity: 1 })),
    })));
  const refusals = orders.filter((result) => result.status === 'rejected').map((result) => String(result.reason));
  expect(refusals.filter((text) => !text.includes('failed_precondition'))).toEqual([]);
  expect(refusals).toHaveLength(250);
  const placed = orders.flatMap((result) => (result.status === 'fulfilled' && result.value.order ? [result.value.order.orderId] : []));
  for (const orderId of placed) await inState(orderId, OrderState.CONFIRMED);
  await until(async () => (await admin.inventory.batchGetStock({ skus: [a, b] })).stockLevels.every((level) => level.onHand === 0 && level.reserved === 0));
}, 60_000);
