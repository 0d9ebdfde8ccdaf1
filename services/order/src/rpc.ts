// OrderService on the wire: translates, and leaves the rest to the verbs.
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ConnectRouter } from '@connectrpc/connect';
import { callerOf } from '@millrace/chassis/api/auth';
import type { Database } from '@millrace/chassis/database/db';
import { createOnce } from '@millrace/chassis/database/requests';
import { OrderService, OrderState } from '@millrace/gen/millrace/order/v1/order_pb.js';
import type { PrismaClient } from '@millrace/gen/prisma/order/client.ts';
import { cancelOrder } from './cancel-order.ts';
import { fulfillOrder } from './fulfill-order.ts';
import type { GetOrder } from './get-order.ts';
import { createListOrders } from './list-orders.ts';
import { listStuckOrders } from './list-stuck-orders.ts';
import type { Order, OrderState as State } from './order.ts';
import type { createPlaceOrder } from './place-order.ts';
import type { Recorder } from './record.ts';
import { refundOrder } from './refund-order.ts';
import { timelineOf, waitingFor } from './timeline.ts';
import type { createWatchOrder } from './watch-order.ts';
import { amountOf, dateOf, toProto } from './wire.ts';

export type OrderVerbs = {
  db: Database;
  prisma: PrismaClient;
  record: Recorder;
  placeOrder: ReturnType<typeof createPlaceOrder>;
  getOrder: GetOrder;
  watchOrder: ReturnType<typeof createWatchOrder>;
};

export function orderRoutes({ db, prisma, record, placeOrder, getOrder, watchOrder }: OrderVerbs): (router: ConnectRouter) => void {
  const { method } = OrderService;
  const once = createOnce(db);
  const listOrders = createListOrders(db);
  const changed = async (order: Promise<Order>) => ({ order: toProto(await order) });

  return (router) =>
    router.service(OrderService, {
      placeOrder: async (request, context) => ({ order: toProto(await placeOrder(callerOf(context), request)) }),
      cancelOrder: (request, context) => once(method.cancelOrder, request, context, (tx, caller) => changed(cancelOrder(tx, record, caller, request))),
      refundOrder: (request, context) =>
        once(method.refundOrder, request, context, (tx, caller) => changed(refundOrder(tx, record, caller, { ...request, amount: amountOf(request.amount) }))),
      fulfillOrder: (request, context) => once(method.fulfillOrder, request, context, (tx, caller) => changed(fulfillOrder(tx, record, caller, request))),

      getOrder: async ({ orderId }, context) => ({ order: toProto(await getOrder(callerOf(context), orderId)) }),
      async listOrders(request, context) {
        const filter = {
          customerId: request.customerId,
          states: request.states.map((state) => OrderState[state] as State),
          createdAfter: dateOf(request.createdAfter, 'created_after'),
          createdBefore: dateOf(request.createdBefore, 'created_before'),
          query: request.query,
        };
        const { orders, nextPageToken } = await listOrders(callerOf(context), filter, request);
        return { orders: orders.map(toProto), nextPageToken };
      },
      async listStuckOrders(request) {
        const { orders, nextPageToken } = await listStuckOrders(db, request);
        return { orders: orders.map((order) => ({ order: toProto(order), waitingFor: waitingFor(order), dueTime: optionalTime(order.dueTime) })), nextPageToken };
      },
      async getOrderTimeline({ orderId }, context) {
        const order = await getOrder(callerOf(context), orderId);
        const entries = await timelineOf(prisma, orderId);
        return { entries: entries.map((entry) => ({ ...entry, time: timestampFromDate(entry.time) })), waitingFor: waitingFor(order), waitingUntil: optionalTime(order.dueTime) };
      },
      async *watchOrder({ orderId, afterVersion }, context) {
        for await (const order of watchOrder(callerOf(context), orderId, afterVersion, context.signal)) yield { order: order && toProto(order) };
      },
    });
}

function optionalTime(date: Date | undefined) {
  return date && timestampFromDate(date);
}
