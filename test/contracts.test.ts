// What other programs are written against: subjects, listeners, access, and the chassis tables in five schemas.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { getOption, hasOption, type DescFile, type DescService } from '@bufbuild/protobuf';
import { eventKind } from '@millrace/chassis/events/contracts';
import { file_millrace_inventory_v1_events } from '@millrace/gen/millrace/inventory/v1/events_pb.js';
import { file_millrace_inventory_v1_inventory } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { file_millrace_notification_v1_events } from '@millrace/gen/millrace/notification/v1/events_pb.js';
import { file_millrace_notification_v1_notification } from '@millrace/gen/millrace/notification/v1/notification_pb.js';
import { file_millrace_ops_v1_dead_letter } from '@millrace/gen/millrace/ops/v1/dead_letter_pb.js';
import { file_millrace_order_v1_events } from '@millrace/gen/millrace/order/v1/events_pb.js';
import { file_millrace_order_v1_order } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { file_millrace_payment_v1_events } from '@millrace/gen/millrace/payment/v1/events_pb.js';
import { file_millrace_payment_v1_payment } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import { file_millrace_product_v1_events } from '@millrace/gen/millrace/product/v1/events_pb.js';
import { file_millrace_product_v1_product } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { access, Role } from '@millrace/gen/millrace/type/v1/access_pb.js';
import { event } from '@millrace/gen/millrace/type/v1/event_pb.js';
import { expect, test } from 'vitest';
import { SERVICES } from '../local/src/nats-permissions.ts';

const EVENT_FILES = [
  file_millrace_product_v1_events, file_millrace_order_v1_events, file_millrace_payment_v1_events, file_millrace_inventory_v1_events, file_millrace_notification_v1_events,
];
const SERVICE_FILES = [
  file_millrace_product_v1_product, file_millrace_order_v1_order, file_millrace_payment_v1_payment, file_millrace_inventory_v1_inventory,
  file_millrace_notification_v1_notification, file_millrace_ops_v1_dead_letter,
];
const eventsOf = (file: DescFile) => file.messages.filter((message) => hasOption(message, event)).map(eventKind);
const services: DescService[] = SERVICE_FILES.flatMap((file) => file.services);

// `buf breaking` does not see a changed option, so the subjects are pinned here: whoever subscribes to them is not in this repository.
test('every event has its subject, its aggregate and its listeners', () => {
  const table = EVENT_FILES.flatMap(eventsOf).map((kind) => `${kind.schema.typeName.replace('millrace.', '')} ${kind.subject} ${kind.aggregate} → ${[...kind.heardBy, ...kind.overheardBy.map((name) => `(${name})`)].join(', ')}`);
  expect(table).toEqual([
    'product.v1.ProductCreated products.created sku → inventory',
    'product.v1.ProductUpdated products.updated sku → inventory, (order)',
    'product.v1.ProductArchived products.archived sku → inventory, (order)',
    'order.v1.OrderPlaced orders.placed orderId → payment, notification',
    'order.v1.OrderConfirmed orders.confirmed orderId → notification',
    'order.v1.OrderCancelled orders.cancelled orderId → payment, inventory, notification',
    'order.v1.OrderFulfilled orders.fulfilled orderId → notification',
    'order.v1.OrderRefundRequested orders.refund_requested orderId → payment, inventory',
    'payment.v1.PaymentSucceeded payments.succeeded orderId → order, inventory, notification',
    'payment.v1.PaymentFailed payments.failed orderId → order, notification',
    'payment.v1.PaymentActionRequired payments.action_required orderId → order, notification',
    'payment.v1.PaymentCancelled payments.cancelled orderId → order',
    'payment.v1.PaymentRefunded payments.refunded orderId → order, notification',
    'payment.v1.PaymentDisputed payments.disputed orderId → order, notification',
    'inventory.v1.StockCommitted inventory.committed orderId → order',
    'inventory.v1.StockReleased inventory.released orderId → order',
    'inventory.v1.StockChanged inventory.stock_changed sku → ',
    'inventory.v1.StockLow inventory.low_stock sku → notification',
    'inventory.v1.BackInStock inventory.back_in_stock sku → notification',
    'inventory.v1.StockShortfall inventory.shortfall orderId → order, notification',
    'notification.v1.NotificationSent notifications.sent notificationId → order',
    'notification.v1.NotificationFailed notifications.failed notificationId → order',
    'notification.v1.NotificationBounced notifications.bounced notificationId → order',
  ]);
});

test('every event carries the version of its aggregate', () => {
  for (const { schema } of EVENT_FILES.flatMap(eventsOf)) expect(schema.field['version']?.proto.name, schema.typeName).toBe('version');
});

test('every RPC says who may call it, and buyers change only orders, payments and preferences', () => {
  const mutableByBuyers: string[] = [];
  for (const method of services.flatMap((service) => service.methods)) {
    expect(hasOption(method, access), method.name).toBe(true);
    const { roles } = getOption(method, access);
    expect(roles.length, method.name).toBeGreaterThan(0);
    const reads = /^(Get|BatchGet|List|Watch|Preview)/.test(method.name);
    if (roles.includes(Role.BUYER) && !reads) mutableByBuyers.push(method.name);
  }
  expect(mutableByBuyers).toEqual(['PlaceOrder', 'CancelOrder', 'ConfirmPayment', 'SetPreferences']);
});

test('every RPC that changes something takes a request_id, or is repeatable by its own identity', () => {
  const without = services.flatMap((service) => service.methods)
    .filter((method) => !/^(Get|BatchGet|List|Watch|Preview)/.test(method.name) && !method.input.fields.some((field) => field.name === 'request_id'))
    .map((method) => method.name);
  expect(without).toEqual(['ImportProducts', 'Reconcile', 'ReserveStock', 'ReserveStockMany']);
});

test('the chassis tables are the same in all five schemas and migrations', () => {
  const read = (service: string, file: string) => readFileSync(path.resolve(import.meta.dirname, '../services', service, 'prisma', file), 'utf8');
  const tail = (text: string, mark: string) => text.slice(text.indexOf(mark)).trim();
  const models = SERVICES.map((service) => tail(read(service, 'schema.prisma'), '/// Events of this service'));
  const tables = SERVICES.map((service) => tail(read(service, 'migrations/20261123000000_init/migration.sql'), '-- What the chassis stands on'));
  expect(models[0]).toContain('model RequestMemory');
  expect(tables[0]).toContain('CREATE TABLE "request_memory"');
  expect(new Set(models).size).toBe(1);
  expect(new Set(tables).size).toBe(1);
});
