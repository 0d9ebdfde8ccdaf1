// millrace order …
import { create } from '@bufbuild/protobuf';
import {
  CancelCauseSchema, GetOrderResponseSchema, GetOrderTimelineResponseSchema, ListOrdersResponseSchema, ListStuckOrdersResponseSchema, OrderService,
  OrderState, OrderStateSchema, PaymentStateSchema, type Order,
} from '@millrace/gen/millrace/order/v1/order_pb.js';
import { type Call, type Noun, TEXT, TEXTS, UsageError, YES, expectArgs } from '../command.ts';
import type { Output } from '../output.ts';
import { PAGE_OPTIONS, PAGE_USAGE, gather } from '../pages.ts';
import { readEnums, readLine, readMoney, readTime, showEnum, showMoney, showTime } from '../values.ts';
import { watchOrder } from './watch-order.ts';

const ADDRESS = { 'ship-name': TEXT, line1: TEXT, line2: TEXT, city: TEXT, region: TEXT, 'postal-code': TEXT, country: TEXT } as const;

export const order: Noun = {
  about: 'orders and their life',
  verbs: {
    place: {
      usage: 'SKU[:QUANTITY]... [--customer ID] [--name N] [--email E] [--phone P] [--payment-method PM] [--expect "19.99 EUR"] [--note N] [--ship-name N --line1 L --line2 L --city C --region R --postal-code P --country CC]',
      about: 'places an order; SKU:2 orders two',
      options: { customer: TEXT, name: TEXT, email: TEXT, phone: TEXT, 'payment-method': TEXT, expect: TEXT, note: TEXT, ...ADDRESS },
      run: place,
    },
    get: { usage: 'ORDER_ID', about: 'shows an order', run: get },
    list: {
      usage: `[--customer ID] [--state S,S] [--after TIME] [--before TIME] [--query Q] ${PAGE_USAGE}`,
      about: 'lists orders, newest first; TIME may be how long ago: 2d',
      options: { customer: TEXT, state: TEXTS, after: TEXT, before: TEXT, query: TEXT, ...PAGE_OPTIONS },
      run: list,
    },
    cancel: { usage: 'ORDER_ID [--reason TEXT]', about: 'cancels; what was paid is given back', options: { reason: TEXT }, run: cancel },
    refund: {
      usage: 'ORDER_ID [--amount "5.00 EUR" | --line SKU:QUANTITY...] [--restock] [--reason TEXT]',
      about: 'gives money back: all that is left, an amount, or the price of lines',
      options: { amount: TEXT, line: TEXTS, restock: YES, reason: TEXT },
      run: refund,
    },
    fulfill: { usage: 'ORDER_ID [--carrier NAME] [--tracking NUMBER]', about: 'says that it was shipped', options: { carrier: TEXT, tracking: TEXT }, run: fulfill },
    watch: { usage: 'ORDER_ID [--after-version N]', about: 'follows an order until it is over', options: { 'after-version': TEXT }, run: watchOrder },
    timeline: { usage: 'ORDER_ID', about: 'tells what happened, in all services, and what it waits for', run: timeline },
    stuck: { usage: PAGE_USAGE, about: 'lists orders that should have moved', options: PAGE_OPTIONS, run: stuck },
  },
};

async function place(call: Call): Promise<void> {
  if (call.args.length === 0) throw new UsageError('SKU is missing');
  const { text } = call.flags;
  const expect = text('expect');
  const address = { name: text('ship-name'), line1: text('line1'), line2: text('line2'), city: text('city'), region: text('region'), postalCode: text('postal-code'), countryCode: text('country') };
  const answer = await call.client(OrderService).placeOrder({
    requestId: call.requestId,
    customer: { customerId: text('customer'), name: text('name'), email: text('email'), phone: text('phone') },
    lines: call.args.map(readLine),
    paymentMethod: text('payment-method'),
    expectedTotal: expect === undefined ? undefined : readMoney(expect, '--expect'),
    shippingAddress: Object.values(address).some((part) => part !== undefined) ? address : undefined,
    note: text('note'),
  });
  showOrder(call.out, answer.order);
}

async function get(call: Call): Promise<void> {
  const [orderId] = expectArgs(call, 'ORDER_ID');
  showOrder(call.out, (await call.client(OrderService).getOrder({ orderId })).order);
}

async function list(call: Call): Promise<void> {
  expectArgs(call);
  const { text, words } = call.flags;
  const [after, before] = [text('after'), text('before')];
  const filter = {
    customerId: text('customer'),
    states: readEnums<OrderState>(OrderStateSchema, words('state'), '--state'),
    createdAfter: after === undefined ? undefined : readTime(after, '--after'),
    createdBefore: before === undefined ? undefined : readTime(before, '--before'),
    query: text('query'),
  };
  const { rows: orders, nextPageToken } = await gather(call, (page) => call.client(OrderService).listOrders({ ...filter, ...page }), (page) => page.orders);
  call.out.answer(ListOrdersResponseSchema, create(ListOrdersResponseSchema, { orders, nextPageToken }), () =>
    call.out.table(
      ['ORDER', 'PLACED', 'STATE', 'PAYMENT', 'TOTAL', 'CUSTOMER', 'LINES'],
      orders.map((one) => [one.orderId, showTime(one.createTime), showEnum(OrderStateSchema, one.state), showEnum(PaymentStateSchema, one.paymentState), showMoney(one.total), one.customer?.customerId, lineWords(one)]),
    ),
  );
}

async function cancel(call: Call): Promise<void> {
  const [orderId] = expectArgs(call, 'ORDER_ID');
  showOrder(call.out, (await call.client(OrderService).cancelOrder({ orderId, reason: call.flags.text('reason'), requestId: call.requestId })).order);
}

async function refund(call: Call): Promise<void> {
  const [orderId] = expectArgs(call, 'ORDER_ID');
  const amount = call.flags.text('amount');
  const lines = call.flags.words('line').map(readLine);
  if (amount !== undefined && lines.length > 0) throw new UsageError('give --amount or --line, not both');
  const answer = await call.client(OrderService).refundOrder({
    orderId,
    amount: amount === undefined ? undefined : readMoney(amount, '--amount'),
    lines,
    restock: call.flags.on('restock'),
    reason: call.flags.text('reason'),
    requestId: call.requestId,
  });
  showOrder(call.out, answer.order);
}

async function fulfill(call: Call): Promise<void> {
  const [orderId] = expectArgs(call, 'ORDER_ID');
  const { text } = call.flags;
  const answer = await call.client(OrderService).fulfillOrder({ orderId, carrier: text('carrier'), trackingNumber: text('tracking'), requestId: call.requestId });
  showOrder(call.out, answer.order);
}

async function timeline(call: Call): Promise<void> {
  const [orderId] = expectArgs(call, 'ORDER_ID');
  const answer = await call.client(OrderService).getOrderTimeline({ orderId });
  call.out.answer(GetOrderTimelineResponseSchema, answer, () => {
    call.out.table(['TIME', 'SOURCE', 'KIND', 'WHAT', 'BY'], answer.entries.map((entry) => [showTime(entry.time), entry.source, entry.kind, entry.summary, entry.actor]));
    if (answer.waitingFor) call.out.line(`Waits for: ${answer.waitingFor}${answer.waitingUntil ? `, until ${showTime(answer.waitingUntil)}` : ''}`);
  });
}

async function stuck(call: Call): Promise<void> {
  expectArgs(call);
  const { rows: orders, nextPageToken } = await gather(call, (page) => call.client(OrderService).listStuckOrders(page), (page) => page.orders);
  call.out.answer(ListStuckOrdersResponseSchema, create(ListStuckOrdersResponseSchema, { orders, nextPageToken }), () =>
    call.out.table(
      ['ORDER', 'STATE', 'PAYMENT', 'DUE', 'WAITS FOR'],
      orders.map(({ order: one, dueTime, waitingFor }) => [one?.orderId, showEnum(OrderStateSchema, one?.state ?? 0), showEnum(PaymentStateSchema, one?.paymentState ?? 0), showTime(dueTime), waitingFor]),
    ),
  );
}

function showOrder(out: Output, one: Order | undefined): void {
  if (!one) return;
  out.answer(GetOrderResponseSchema, create(GetOrderResponseSchema, { order: one }), () => {
    const address = one.shippingAddress;
    out.facts({
      order: one.orderId,
      state: showEnum(OrderStateSchema, one.state),
      payment: showEnum(PaymentStateSchema, one.paymentState),
      total: showMoney(one.total),
      refunded: one.refunded?.minorUnits ? showMoney(one.refunded) : '',
      customer: [one.customer?.name, one.customer?.email, one.customer?.phone, one.customer?.customerId && `(${one.customer.customerId})`].filter(Boolean).join(' '),
      'ships to': address ? [address.name, address.line1, address.line2, address.postalCode, address.city, address.region, address.countryCode].filter(Boolean).join(', ') : '',
      'pay until': one.state === OrderState.PENDING_PAYMENT ? showTime(one.paymentDueTime) : '',
      cancelled: one.state === OrderState.CANCELLED ? [showEnum(CancelCauseSchema, one.cancelCause), one.cancelReason].filter(Boolean).join(': ') : '',
      shipped: [one.carrier, one.trackingNumber].filter(Boolean).join(' '),
      note: one.note,
      placed: showTime(one.createTime),
      version: one.version,
    });
    out.table(['SKU', 'NAME', 'QUANTITY', 'EACH', 'TOGETHER'], one.lines.map((line) => [line.sku, line.name, line.quantity, showMoney(line.unitPrice), showMoney(line.lineTotal)]));
  });
}

function lineWords(one: Order): string {
  return one.lines.map((line) => `${line.quantity} ${line.sku}`).join(', ');
}

