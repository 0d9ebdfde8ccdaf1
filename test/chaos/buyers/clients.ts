// Clients of all services at the public port, for one caller.
import type { DescService } from '@bufbuild/protobuf';
import { createClient, type Client, type Interceptor } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { InventoryService } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { DeadLetterService } from '@millrace/gen/millrace/ops/v1/dead_letter_pb.js';
import { OrderService } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { PaymentService } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';

export type Clients = {
  orders: Client<typeof OrderService>;
  products: Client<typeof ProductService>;
  inventory: Client<typeof InventoryService>;
  payments: Client<typeof PaymentService>;
};

const TIMEOUT_MS = 10_000;

export function clientsAt(baseUrl: string, token: string): Clients {
  const client = <S extends DescService>(service: S) => clientOf(service, baseUrl, token);
  return { orders: client(OrderService), products: client(ProductService), inventory: client(InventoryService), payments: client(PaymentService) };
}

/** Dead letters are asked for at the service itself. */
export function deadLettersAt(serviceUrl: string, token: string): Client<typeof DeadLetterService> {
  return clientOf(DeadLetterService, serviceUrl, token);
}

function clientOf<S extends DescService>(service: S, baseUrl: string, token: string): Client<S> {
  const bearer: Interceptor = (next) => (request) => {
    request.header.set('authorization', `Bearer ${token}`);
    return next(request);
  };
  return createClient(service, createConnectTransport({ baseUrl, httpVersion: '2', interceptors: [bearer], defaultTimeoutMs: TIMEOUT_MS }));
}
