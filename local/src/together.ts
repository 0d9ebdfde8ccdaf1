// All five services in one process on one port: one Node, one crash domain, for small shops and small machines.
// Order calls its neighbours directly; all else is as apart, each with its own database, broker user, token and loops.
import { createDirectCall } from '@millrace/chassis/clients/direct-call';
import { processConfig, readConfig, type Env } from '@millrace/chassis/config';
import { STAY_WARM, runProcess } from '@millrace/chassis/process';
import { runServices, type Running } from '@millrace/chassis/service';
import { createLog } from '@millrace/chassis/telemetry/log';
import { InventoryService } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { defineInventory } from '@millrace/inventory';
import { defineNotification } from '@millrace/notification';
import { defineOrder } from '@millrace/order';
import { definePayment } from '@millrace/payment';
import { defineProduct } from '@millrace/product';
import type { Service } from './nats-permissions.ts';

/** What differs per service carries its name in front; see `togetherEnvironment`. */
const OWN = { DATABASE_URL: 'DATABASE_URL', NATS_URL: 'NATS_URL', MILLRACE_TOKEN: 'TOKEN' };
/** As order's token says it. */
const ORDER = Object.freeze({ subject: 'order', role: 'service' });

export async function startTogether(env: Env, signal: AbortSignal): Promise<Running> {
  const config = readConfig('together', processConfig, env);
  const envOf = (service: Service): Env => ownEnvironment(service, env);
  const product = defineProduct(envOf('product'));
  const inventory = defineInventory(envOf('inventory'));
  const ofProduct = { caller: ORDER, log: product.log };
  const ofInventory = { caller: ORDER, log: inventory.log };
  const order = defineOrder(envOf('order'), {
    products: { batchGetProducts: createDirectCall(ProductService.method.batchGetProducts, product.calls.batchGetProducts, ofProduct) },
    inventory: {
      reserveStockMany: createDirectCall(InventoryService.method.reserveStockMany, inventory.calls.reserveStockMany, ofInventory),
      releaseStock: createDirectCall(InventoryService.method.releaseStock, inventory.calls.releaseStock, ofInventory),
    },
  });
  const definitions = [order, product, inventory, definePayment(envOf('payment')), defineNotification(envOf('notification'))];
  return runServices({ name: 'together', config, log: createLog('together', config.LOG_LEVEL) }, definitions, signal);
}

function ownEnvironment(service: Service, env: Env): Env {
  const own = Object.entries(OWN).map(([name, suffix]) => [name, env[`${service.toUpperCase()}_${suffix}`]]);
  return { ...env, ...(Object.fromEntries(own) as Env) };
}

if (import.meta.main) await runProcess(startTogether, STAY_WARM);
