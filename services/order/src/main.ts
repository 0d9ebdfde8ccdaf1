// The composition root of order: the life of orders, from the price to the shipment.
import { warmUpValidation } from '@millrace/chassis/api/validation';
import { createServiceClient } from '@millrace/chassis/clients/service-client';
import type { Env } from '@millrace/chassis/config';
import { openDatabase } from '@millrace/chassis/database/db';
import { createChanges } from '@millrace/chassis/flow/changes';
import { STAY_WARM, runProcess } from '@millrace/chassis/process';
import { runService, type Running, type ServiceDefinition } from '@millrace/chassis/service';
import { createLog } from '@millrace/chassis/telemetry/log';
import { InventoryService } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { OrderService } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { ProductArchivedSchema, ProductUpdatedSchema } from '@millrace/gen/millrace/product/v1/events_pb.js';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { PrismaClient } from '@millrace/gen/prisma/order/client.ts';
import { readOrderConfig } from './config.ts';
import { orderReactions } from './events.ts';
import { expireOrders } from './expire-orders.ts';
import { createGetOrder } from './get-order.ts';
import { createNeighbours, type Neighbours } from './neighbours.ts';
import { createPlaceOrder } from './place-order.ts';
import { practise } from './practise.ts';
import { createRecord } from './record.ts';
import { orderRoutes } from './rpc.ts';
import { createWatchOrder } from './watch-order.ts';

export async function startOrder(env: Env, signal: AbortSignal, given?: Neighbours): Promise<Running> {
  return runService(defineOrder(env, given), signal);
}

/** Without neighbours given it calls those that its environment names. */
export function defineOrder(env: Env, given?: Neighbours): ServiceDefinition {
  const config = readOrderConfig(env);
  const log = createLog('order', config.LOG_LEVEL);
  const db = openDatabase(config.DATABASE_URL, log);
  const prisma = new PrismaClient({ adapter: db.prismaAdapter() });
  const token = config.MILLRACE_TOKEN;
  const neighbours = createNeighbours(given ?? {
    products: createServiceClient(ProductService, { url: config.PRODUCT_URL, token }),
    inventory: createServiceClient(InventoryService, { url: config.INVENTORY_URL, token }),
  }, log);

  const changes = createChanges();
  const record = createRecord(changes);
  const getOrder = createGetOrder(db);
  const placeOrder = createPlaceOrder({ db, neighbours, paymentWindowMs: config.ORDER_PAYMENT_WINDOW, holdGraceMs: config.ORDER_HOLD_GRACE });
  const watchOrder = createWatchOrder({ getOrder, changes });

  return {
    name: 'order', config, log, db,
    services: [OrderService],
    routes: orderRoutes({ db, prisma, record, placeOrder, getOrder, watchOrder }),
    reactions: orderReactions(record),
    overhears: [{ schemas: [ProductUpdatedSchema, ProductArchivedSchema], hear: (sku) => neighbours.prices.forget(sku), lost: () => neighbours.prices.forgetAll() }],
    loops: [expireOrders(db, record, log)],
    async warmUp() {
      warmUpValidation([OrderService]);
      await practise(db);
    },
    close: () => prisma.$disconnect(),
  };
}

if (import.meta.main) await runProcess(startOrder, STAY_WARM);
