// Which service answers which path: read off the descriptors, so that a new RPC needs no change here.
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import type { DescMethod, DescService } from '@bufbuild/protobuf';
import { InventoryService } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { NotificationService } from '@millrace/gen/millrace/notification/v1/notification_pb.js';
import { DeadLetterService } from '@millrace/gen/millrace/ops/v1/dead_letter_pb.js';
import { OrderService } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { PaymentService } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';

export const SERVICE_NAMES = ['order', 'product', 'inventory', 'payment', 'notification'] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

/** An RPC behind the edge. `owner` is undefined where every service has it: a header names the one that is meant. */
export type Rpc = { owner: ServiceName | undefined; unary: boolean; get: boolean };

/** Everything that reflection lists. */
export const SERVICES: DescService[] = [OrderService, ProductService, InventoryService, PaymentService, NotificationService, DeadLetterService];

export const WEBHOOKS: Record<string, ServiceName> = {
  '/webhooks/stripe': 'payment',
  '/webhooks/postmark': 'notification',
  '/webhooks/twilio': 'notification',
};

/** Paths of all RPCs behind the edge. */
export function rpcTable(services: readonly DescService[] = SERVICES): Map<string, Rpc> {
  const table = new Map<string, Rpc>();
  for (const service of services) {
    const owner = ownerOf(service);
    for (const method of service.methods) table.set(`/${service.typeName}/${method.name}`, toRpc(owner, method));
  }
  return table;
}

function isServiceName(name: unknown): name is ServiceName {
  return (SERVICE_NAMES as readonly unknown[]).includes(name);
}

function toRpc(owner: ServiceName | undefined, method: DescMethod): Rpc {
  return { owner, unary: method.methodKind === 'unary', get: method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS };
}

// "millrace.order.v1.OrderService" belongs to "order".
function ownerOf(service: DescService): ServiceName | undefined {
  const word = service.typeName.split('.')[1];
  if (isServiceName(word)) return word;
  if (word === 'ops') return undefined;
  throw new Error(`No service is known to serve ${service.typeName}.`);
}
