// What people look at: one order, a customer's orders, the catalogue, a stock level.
import { type DescMessage, type MessageInitShape, create, toBinary } from '@bufbuild/protobuf';
import { GetStockRequestSchema } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { GetOrderRequestSchema, ListOrdersRequestSchema } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { ListProductsRequestSchema } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { createCaller } from './caller.ts';
import { type Load, closedLoop } from './load.ts';

export const READS = ['GetOrder', 'ListOrders', 'ListProducts', 'GetStock'] as const;
export type ReadTask = { url: string; token: string; rpc: (typeof READS)[number]; orderIds: string[]; prefix: string; skus: number; clients: number; ms: number };

export async function runReads(task: ReadTask): Promise<Load> {
  const caller = createCaller(task.url, task.token);
  const ask = <Request extends DescMessage>(rpc: string, schema: Request, request: MessageInitShape<Request>) => caller.call(`/millrace.${rpc}`, toBinary(schema, create(schema, request)));
  const read = (n: number) => {
    switch (task.rpc) {
      case 'GetOrder':
        return ask('order.v1.OrderService/GetOrder', GetOrderRequestSchema, { orderId: task.orderIds[n % task.orderIds.length] ?? '' });
      case 'ListOrders':
        return ask('order.v1.OrderService/ListOrders', ListOrdersRequestSchema, { customerId: `customer-${n % 1_000}`, pageSize: 20 });
      case 'ListProducts':
        return ask('product.v1.ProductService/ListProducts', ListProductsRequestSchema, { pageSize: 20 });
      case 'GetStock':
        return ask('inventory.v1.InventoryService/GetStock', GetStockRequestSchema, { sku: `${task.prefix}-${n % task.skus}` });
      default:
        return task.rpc satisfies never;
    }
  };
  return closedLoop(task, read).finally(caller.close);
}
