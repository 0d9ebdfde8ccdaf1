// What people look at: one order, a customer's orders, the catalogue, a stock level.
import { createClient } from '@connectrpc/connect';
import { InventoryService } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { OrderService } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { type Load, closedLoop, transports } from './load.ts';

export const READS = ['GetOrder', 'ListOrders', 'ListProducts', 'GetStock'] as const;
export type ReadTask = { url: string; token: string; rpc: (typeof READS)[number]; orderIds: string[]; prefix: string; skus: number; clients: number; ms: number };

export async function runReads(task: ReadTask): Promise<Load> {
  const services = transports(task.url, task.token).map((transport) => ({ orders: createClient(OrderService, transport), products: createClient(ProductService, transport), inventory: createClient(InventoryService, transport) }));
  return closedLoop(task, async (n) => {
    const { orders, products, inventory } = services[n % services.length] as (typeof services)[number];
    switch (task.rpc) {
      case 'GetOrder':
        return orders.getOrder({ orderId: task.orderIds[n % task.orderIds.length] ?? '' });
      case 'ListOrders':
        return orders.listOrders({ customerId: `customer-${n % 1_000}`, pageSize: 20 });
      case 'ListProducts':
        return products.listProducts({ pageSize: 20 });
      case 'GetStock':
        return inventory.getStock({ sku: `${task.prefix}-${n % task.skus}` });
      default:
        return task.rpc satisfies never;
    }
  });
}
